from qs.api.comparing import Comparison as Comparison
from qs.api.comparing import compare as compare
from qs.api.lineup import Lineup as Lineup
from qs.api.measuring import load as load
from qs.api.measuring import run as run
from qs.api.result import Result as Result
from qs.api.result import load_result as load_result
from qs.base.errors import UserError as UserError
from qs.contract.compile_backend import CompileBackend as CompileBackend
from qs.contract.data_loader import Dataset as Dataset
from qs.contract.runtime_backend import RuntimeBackend as RuntimeBackend
from qs.contract.test_accuracy import AccuracyChecker as AccuracyChecker

__version__: str
