"""A workspace in a temporary folder, with backends and data sets written the way upstream's are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from qs.inside.service import VendorService

COMPILE = """
import json
from general_perf.backends import compile_backend
from . import shared

class CompileBackend{name}(compile_backend.CompileBackend):
    def version(self):
        return "compiler 1.0"

    def get_interact_profile(self, configs):
        from general_perf.backends.{name} import shared as by_its_long_name
        assert by_its_long_name is shared
        return []

    def compile(self, configs, dataloader=None):
        return {{
            "model": configs["model_info"]["model"],
            "framework": "Onnx", "compile_precision": "FP16", "input_type": ["FLOAT32"],
            "max_batch_size": 64, "compile_status": "success", "sg_percent": 100,
            "segments": [{{
                "sg_idx": 0, "is_fallback": False, "input_tensor_map": {{"x": [1, 4]}},
                "compiled_model": [{{"compiled_bs": 1, "compiled_obj": shared.Engine()}}],
            }}],
            "vendor's own": {{"engine": shared.Engine(), "items": dataloader.get_item_count()}},
        }}
"""
RUNTIME = """
import numpy as np
from general_perf.backends import runtime_backend
from . import shared

class RuntimeBackend{name}(runtime_backend.RuntimeBackend):
    def __init__(self):
        self.batch_size = -1
        self.loads = 0

    def load(self, batch_size):
        self.batch_size = shared.loaded(batch_size)
        self.loads += 1
        self.engine = self.configs["segments"][0]["compiled_model"][0]["compiled_obj"]

    def get_loaded_batch_size(self):
        return self.batch_size

    def predict(self, feeds):
        x = feeds["x"]
        assert x.shape == (self.batch_size, 4), x.shape
        return shared.answer(self.engine(x))
{more}
"""
SHARED = """
import numpy as np

class Engine:
    def __call__(self, x):
        return np.stack([x.sum(axis=1), x.max(axis=1)], axis=1).astype(np.float32)

def loaded(asked):
    return {loaded}

class Tensor:
    def __init__(self, array): self.array = array
    def detach(self): return self
    def cpu(self): return self
    def numpy(self): return self.array

def answer(y):
    return {answer}
"""
DATA_LOADER = """
import numpy as np
from general_perf.datasets import data_loader

class DataLoader(data_loader.Dataset):
    def __init__(self, config):
        super(DataLoader, self).__init__(config)
        self.items = {items}
        self.batch_num = self.items

    def name(self):
        return "numbers"

    def preprocess(self):
        {preprocess}
        self.x = np.arange(self.items * 4, dtype=np.float32).reshape(-1, 4)
        self.rebatch(1, skip=False)

    def rebatch(self, new_bs, skip=True):
        if self.cur_bs == new_bs and skip:
            return
        self.cur_bs = new_bs
        self.batch_num = int(self.items / new_bs)
        batches = [self.x[i * new_bs:(i + 1) * new_bs] for i in range(self.batch_num)]
        self.batched_data = [{{"x": batch}} for batch in batches]
        self.labels = [batch.sum(axis=1) for batch in batches]
"""
CHECKER = """
import numpy as np
from general_perf.datasets import test_accuracy

class AccuracyChecker(test_accuracy.AccuracyChecker):
    def calculate_acc(self, data_percent):
        assert self.configs["dataset_name"] == "numbers"
        right, outs = [], []
        for i in range(int(self.dataloader.get_batch_count() * data_percent / 100)):
            feeds, labels = self.dataloader.get_samples(i)
            out = self.runtime_backend.predict(feeds)["y"]
            outs.append(out)
            right.extend(np.isclose(out[:, 0], labels))
        np.save(self.output_dir + "/numbers.npy", np.concatenate(outs), allow_pickle=False)
        return {{"Right": np.float32(np.mean(right)), "Count": np.int64(len(right))}}
"""


class Workspace:
    """Writes backends and data sets, and opens services on them."""

    def __init__(self, root: Path) -> None:
        self.root = root / "general_perf"
        self.services: list[VendorService] = []

    def backend(self, name="ACME", loaded="asked", answer='{"y": y}', more=""):
        folder = self.root / "backends" / name
        folder.mkdir(parents=True)
        low = name.lower()
        (folder / f"compile_backend_{low}.py").write_text(COMPILE.format(name=name))
        (folder / f"runtime_backend_{low}.py").write_text(RUNTIME.format(name=name, more=more))
        (folder / "shared.py").write_text(SHARED.format(loaded=loaded, answer=answer))
        return folder

    def dataset(self, items=10, preprocess="pass", checker=True):
        folder = self.root / "datasets" / "numbers"
        folder.mkdir(parents=True)
        (folder / "data_loader.py").write_text(
            DATA_LOADER.format(items=items, preprocess=preprocess)
        )
        if checker:
            (folder / "test_accuracy.py").write_text(CHECKER.format())
        return str(folder)

    def service(self, folder, name="ACME"):
        service = VendorService([str(self.root)], str(folder), name)
        self.services.append(service)
        return service

    def ready(self, folder, dataset=None, fake=False, batch_sizes=(1,), info=None):
        """A service that has compiled and is configured; the data set too."""
        service = self.service(folder)
        configs = {
            "workload": {
                "model": "m",
                "clients": 2,
                "iterations": 5,
                "batch_sizes": list(batch_sizes),
            },
            "model_info": {**MODEL_INFO, **(info or {})},
            "interact_info": {},
        }
        configs = service.pre_optimize(configs)
        service.set_dataset(configs, dataset, fake=fake, seed=0)
        result = service.compile(configs)
        service.configure_runtime(result, configs["workload"], configs["model_info"])
        return service, result


MODEL_INFO = {
    "model": "m",
    "inputs": "x",
    "outputs": "y",
    "input_shape": {"x": [1, 4]},
    "input_type": "FLOAT32",
    "dataset_name": "numbers",
}


@pytest.fixture
def workspace(tmp_path):
    workspace = Workspace(tmp_path)
    yield workspace
    for service in reversed(workspace.services):
        service.close()


@pytest.fixture
def model_info():
    return dict(MODEL_INFO)


@pytest.fixture
def truth():
    """What the fake backends compute."""
    return lambda x: np.stack([x.sum(axis=1), x.max(axis=1)], axis=1).astype(np.float32)
