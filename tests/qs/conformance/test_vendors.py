"""Vendors' folders that are right but for one thing: the check for that thing fails, says why, and
the others go on.
"""

from __future__ import annotations

import time

import pytest

from qs.conformance.checks import CHECKS
from qs.conformance.outcome import FAIL, PASS, SKIP

SHARED_INPUT = """
    def predict(self, feeds):
        self.x = feeds["x"]
        time.sleep(0.0005)
        return {"y": self.x @ WEIGHTS}
"""
PROCESS_POOL = """
    def generate_qs_config(self):
        return {"pool": "process"}
"""
OWN_BENCHMARK = """
    def is_qs_mode_supported(self):
        return False

    def benchmark(self, dataloader):
        return [{"BS": self.size, "QPS": 3.5, "AVG_Latency": 2.0, "P99_Latency": %s}]
"""

# What replaces the right methods, the checks to run after compiling, and their expected outcomes.
# Independent faults share a folder, for each folder is compiled anew.
CASES = {
    "one buffer for the inputs of all threads; keys that are not there; prints": (
        """
    def predict(self, feeds):
        self.x = feeds["x"]
        time.sleep(0.0005)
        print("x" * 999)
        return {"y": self.x @ WEIGHTS}

    def generate_qs_config(self):
        return {"pol": "thread"}
""",
        ["determinism", "threads", "qs_config", "prints"],
        {
            "determinism": (PASS, "bit by bit"),
            "threads": (FAIL, "are not the serial ones"),
            "qs_config": (FAIL, "did you mean 'pool'?"),
            "prints": (PASS, "predict prints 1,000 bytes a call"),
        },
    ),
    "not thread-safe, but asks for processes; loses memory and files": (
        """
    def load(self, batch_size):
        self.size = batch_size
        KEPT.append(np.ones(1 << 20))
        KEPT.append(open(os.devnull))

    def predict(self, feeds):
        self.x = feeds["x"]
        time.sleep(0.0005)
        return {"y": self.x @ WEIGHTS}

    def generate_qs_config(self):
        return {"pool": "process"}
""",
        ["qs_config", "threads", "leaks"],
        {
            "threads": (PASS, "does not ask for that (pool process)"),
            "leaks": (FAIL, "MB over"),
        },
    ),
    "one buffer for all answers, feeds scaled in place; its own numbers": (
        OWN_BENCHMARK % "2.5"
        + """
    buffers = {}
    def predict(self, feeds):
        feeds["x"] *= 2
        y = self.buffers.setdefault(len(feeds["x"]), np.empty((len(feeds["x"]), 3), np.float32))
        y[:] = feeds["x"] @ WEIGHTS / 2
        return {"y": y}
""",
        ["determinism", "arrays", "qs_config", "benchmark"],
        {
            "determinism": (PASS, ""),
            "arrays": (
                FAIL,
                "writes into its feeds: x; a later predict writes into an earlier answer: y",
            ),
            "qs_config": (PASS, "benchmark() is called"),
            "benchmark": (PASS, "queries in flight (Little's law)"),
        },
    ),
    "normalized over the batch; numbers that are none": (
        OWN_BENCHMARK % '"fast"'
        + """
    def predict(self, feeds):
        return {"y": (feeds["x"] - feeds["x"].mean(axis=0)) @ WEIGHTS}
""",
        ["outputs", "determinism", "independence", "agreement", "benchmark"],
        {
            "outputs": (PASS, "y [4, 3]"),
            "independence": (FAIL, "changes with its neighbours"),
            "agreement": (FAIL, "cosine similarity"),
            "benchmark": (FAIL, "P99_Latency is 'fast'"),
        },
    ),
    "another batch size than asked, answers in order and a row too few": (
        """
    def load(self, batch_size):
        self.size = max(batch_size, 2)

    def predict(self, feeds):
        return [feeds["x"][:1] @ WEIGHTS]
""",
        ["load", "predict", "outputs", "independence"],
        {
            "load": (PASS, "load(1) loads 2"),
            "predict": (PASS, "a list of 1 output"),
            "outputs": (FAIL, "output y is [1, 3] at batch size 2, not [2, 3]"),
            "independence": (SKIP, "outputs failed"),
        },
    ),
    "noise under another name; no benchmark": (
        """
    def is_qs_mode_supported(self):
        return False

    def predict(self, feeds):
        return {"z": feeds["x"] @ WEIGHTS + np.random.rand()}
""",
        ["qs_config", "outputs", "determinism", "threads", "benchmark"],
        {
            "outputs": (FAIL, "no output y; there are z"),
            "benchmark": (FAIL, "benchmark is not written"),
            "determinism": (FAIL, "of its largest value;"),
            "threads": (SKIP, "determinism failed"),
        },
    ),
    "a segmentation fault in load, sys.exit in generate_qs_config": (
        """
    def load(self, batch_size):
        ctypes.string_at(0)

    def generate_qs_config(self):
        sys.exit(0)
""",
        ["load", "predict", "qs_config"],
        {
            "load": (
                FAIL,
                "load(1): the process ended (signal SIGSEGV) (runtime_backend_acme.py, line 3",
            ),
            "predict": (SKIP, "load failed"),
            "qs_config": (FAIL, "SystemExit: 0 (runtime_backend_acme.py, line "),
        },
    ),
    "os._exit in predict, at one batch size": (
        """
    def predict(self, feeds):
        if len(feeds["x"]) == 4:
            os._exit(3)
        return {"y": feeds["x"] @ WEIGHTS}
""",
        ["load", "predict", "determinism"],
        {
            "load": (PASS, "1, 4"),
            "predict": (FAIL, "predict at batch size 4: the process ended (exit status 3)"),
            "determinism": (SKIP, "predict failed"),
        },
    ),
    "coroutines bound to one event loop": (
        """
    lock = None
    def generate_qs_config(self):
        return {"runner": "async", "batch_sizes": [2]}

    async def predict(self, feeds):
        import asyncio
        if self.lock is None:
            self.lock, self.loop = asyncio.Lock(), asyncio.get_running_loop()
        assert self.loop is asyncio.get_running_loop()
        async with self.lock:
            await asyncio.sleep(0.001)
            return {"y": feeds["x"] @ WEIGHTS}
""",
        ["qs_config", "predict", "determinism", "threads"],
        {
            "qs_config": (PASS, "runner async"),
            "predict": (PASS, "batch sizes 2: a dict"),
            "determinism": (PASS, ""),
            "threads": (PASS, "equal the serial ones"),
        },
    ),
    "a runner of its own, one buffer for all its clients": (
        """
    def generate_qs_config(self):
        return {"runner": "runtime_backend_acme:make"}

def make(config):
    kept = {}
    def predict(feeds):
        kept["x"] = feeds["x"]
        time.sleep(0.0005)
        return {"y": kept["x"] @ WEIGHTS}
    return predict
""",
        ["qs_config", "predict", "threads"],
        {
            "qs_config": (PASS, "runner runtime_backend_acme:make"),
            "threads": (FAIL, "are not the serial ones"),
        },
    ),
    "watts that are none, under a name that counts": (
        """
    def telemetry(self):
        return {"power_w": -5.0, "energy_j": "much"}
""",
        ["predict", "telemetry"],
        {"telemetry": (FAIL, "telemetry(): energy_j: 'much' is no number")},
    ),
    "a counter that counts down": (
        """
    left = 100.0
    def telemetry(self):
        self.left -= 1
        return {"energy_j": self.left, "power_w": -5.0}
""",
        ["predict", "telemetry"],
        {
            "telemetry": (
                FAIL,
                "telemetry(): the counter energy_j went backwards; telemetry(): power_w is -5",
            )
        },
    ),
    "telemetry that can be read": (
        """
    def telemetry(self):
        return {"power_w": 312.0, "utilisation_percent": 97.5}
""",
        ["predict", "telemetry"],
        {"telemetry": (PASS, "states power_w 312, utilisation_percent 97.5; power_w counts")},
    ),
    "a pool for one client": (
        """
    def generate_qs_config(self):
        return {"pool": "inline", "clients": 3}
""",
        ["qs_config", "load", "predict", "benchmark"],
        {
            "qs_config": (FAIL, "inline"),
            "predict": (PASS, "1, 4"),
            "benchmark": (SKIP, "QS mode is supported"),
        },
    ),
    "started requests whose answers come from one place": (
        """
    def request_of(self, feeds):
        return feeds["x"]

    def start(self, request, done):
        import asyncio

        class Call:
            failure, detail, cancel = None, "", lambda self: None

        self.x = request
        asyncio.get_running_loop().call_later(0.001, lambda: done(self.ended(Call())))

    def ended(self, call):
        call.answer = self.x @ WEIGHTS
        return call

    def outputs_of(self, call):
        return {"y": call.answer}

    def counts(self, which):
        return {}
""",
        ["contract", "qs_config", "determinism", "threads"],
        {
            "contract": (FAIL, "RuntimeBackendACME.counts takes"),
            "qs_config": (PASS, "runner async"),
            "determinism": (PASS, "bit by bit"),
            "threads": (FAIL, "are not the serial ones"),
        },
    ),
}


# Those whose faults end a process or stay in it, and whose printing is measured.
IN_A_PROCESS = ("prints", "loses memory", "segmentation fault", "os._exit", "coroutines")


@pytest.mark.parametrize("case", CASES)
def test_the_one_fault_is_found_and_named(lab, case):
    runtime, checks, expected = CASES[case]
    lab.write(runtime)
    in_process = not any(words in case for words in IN_A_PROCESS)
    found = lab.run("compile", *checks, in_process=in_process)
    assert found["compile"].status == PASS
    for name, (status, words) in expected.items():
        assert (found[name].status, words in found[name].reason) == (status, True), (
            name,
            found[name],
        )
        assert bool(found[name].fix) == (status == FAIL)


def test_a_right_one_passes_everything(lab):
    lab.write()
    found = lab.run(*(check.name for check in CHECKS), own_reference=True)
    assert {name for name, outcome in found.items() if outcome.status != PASS} == {
        "benchmark",
        "telemetry",
    }
    assert found["benchmark"].reason == "QS mode is supported: benchmark() is never called"


@pytest.mark.slow
def test_a_hang_ends_at_the_limit_is_located_and_what_follows_is_checked(lab, limit_s):
    lab.write("""
    def generate_qs_config(self):
        time.sleep(3600)
""")
    begin = time.monotonic()
    found = lab.run("compile", "qs_config", "predict", limit_s=limit_s)
    assert found["qs_config"].status == FAIL
    assert f"generate_qs_config: no answer within {limit_s:g} s" in found["qs_config"].reason
    assert "runtime_backend_acme.py, line " in found["qs_config"].reason
    assert found["predict"].status == PASS
    assert time.monotonic() - begin < 4 * limit_s


def test_an_endless_import_ends_at_the_limit(lab, limit_s):
    lab.write()
    (lab.folder / "compile_backend_acme.py").write_text("import time\ntime.sleep(3600)\n")
    begin = time.monotonic()
    found = lab.run("contract", "compile", limit_s=limit_s)
    assert f"no answer within {limit_s:g} s" in found["contract"].reason
    assert "compile_backend_acme.py, line 2, in <module>" in found["contract"].reason
    assert found["compile"].status == SKIP
    assert time.monotonic() - begin < 4 * limit_s


def test_faults_of_the_classes_and_names_are_all_said_at_once(lab):
    lab.write(
        """
    def version(self):
        return 3

    def load(self):
        pass

    get_loaded_batch_size = RuntimeBackend.get_loaded_batch_size
""",
        acme__json="[]",
    )
    found = lab.run("naming", "contract", "profile", in_process=True)
    assert (found["naming"].status, "called acme.json" in found["naming"].reason) == (FAIL, True)
    assert found["contract"].status == FAIL
    for words in (
        "RuntimeBackendACME.load takes (), but is called with 1 arguments",
        "get_loaded_batch_size is not written",
        "RuntimeBackendACME.version() gives int",
    ):
        assert words in found["contract"].reason
    assert (
        found["profile"].status == SKIP
    )  # without a load that can be called there is nothing to try


def test_a_folder_without_its_class_fails_by_name_and_is_not_gone_into(lab):
    lab.write()
    file = lab.folder / "runtime_backend_acme.py"
    file.write_text(file.read_text().replace("RuntimeBackendACME(", "RuntimeBackendAcm("))
    found = lab.run("naming", "contract", "compile", "load", in_process=True)
    assert "has no class RuntimeBackendACME" in found["naming"].reason
    assert "has no class RuntimeBackendACME" in found["contract"].reason
    assert {found[name].status for name in ("compile", "load")} == {SKIP}


def test_wrong_questions_and_a_wrong_key_of_the_compile_result_do_not_stop_the_rest(lab):
    lab.write(
        compiler="""
    right = compile
    asked = 0

    def compile(self, configs, dataloader=None):
        return {**CompileBackendACME.right(self, configs), "sg_percent": "all"}

    def get_interact_profile(self, configs):
        self.asked += 1  # what is wrong with it is one check's affair
        wrong = {"name": "deep", "dialog_type": "Yes/No Dialogue", "type": "bool"}
        return [wrong] if self.asked == 1 else None
"""
    )
    found = lab.run("contract", "profile", "compile", "load", in_process=True)
    assert (
        found["profile"].status,
        "did you mean 'Yes/No Dialog'?" in found["profile"].reason,
    ) == (
        FAIL,
        True,
    )
    assert (found["compile"].status, "sg_percent is 'all'" in found["compile"].reason) == (
        FAIL,
        True,
    )
    assert found["load"].status == PASS


def test_code_written_for_byteml_perf_finds_its_files_where_it_looks_for_them(lab):
    """Upstream's vendors import general_perf and open its files under the working directory."""
    lab.write(
        compiler="""
    def get_interact_profile(self, configs):
        import json
        from general_perf.backends import compile_backend
        assert issubclass(CompileBackendACME, compile_backend.CompileBackend)
        with open("general_perf/backends/ACME/ACME.json") as file:
            return json.load(file)
""",
        ACME__json="""
        [{"name": "deep", "dialog_type": "Yes/No Dialog", "type": "bool", "default": true}]
        """,
    )
    found = lab.run("profile", "compile")
    assert (found["profile"].status, found["profile"].reason) == (PASS, "1 question")
    assert found["compile"].status == PASS
