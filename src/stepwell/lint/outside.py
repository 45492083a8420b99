"""The calls that have no place between durable calls: what they give differs from pass to pass."""

from __future__ import annotations

import ast
import re
from typing import NamedTuple

from stepwell.lint.findings import Rule
from stepwell.lint.meanings import APPS

_REASONS = {
    Rule.CLOCK: "tells another time on every pass; use step.now(), or read the clock in a step",
    Rule.CHANCE: "gives another value on every pass; use step.random() or step.uuid(), or call it in a step",
    Rule.OUTSIDE: "reaches outside the workflow, again on every pass; do it in a step: step.run(...)",
    Rule.SURROUNDINGS: "may differ on the next worker; read it in a step, once when the module is loaded, or take it as"
    " input",
    Rule.SLEEP: "is forgotten when the worker stops, and waits again on every pass; use step.sleep(...)",
    Rule.RACE: "may be won by another on the next pass; use step.first(...) with step.sleep or its time-out, or"
    " asyncio.gather to wait for all",
    Rule.THREADS: "runs code outside the workflow's order, again on every pass; use step.run, or step.map for many",
}

_ENGINE = (
    "works outside this execution, again on every pass; use step.start, step.call or step.send_event, or do it in a"
    " step"
)


class Offence(NamedTuple):
    """Which rule a call breaks, and what is said of it."""

    rule: Rule
    message: str


def offence_of(name: str, node: ast.Call) -> Offence | None:
    """What is wrong with a call of this function between durable calls; None if nothing is."""
    if name.partition("()")[0] in APPS:
        return Offence(Rule.OUTSIDE, f"{_shown(name)} {_ENGINE}") if name.rpartition(".")[2] in _OF_AN_APP else None
    if name in _UNLESS_GIVEN and len(node.args) + len(node.keywords) >= _UNLESS_GIVEN[name]:
        return None
    rule = _rule_of(name)
    if rule is None or (rule is Rule.SLEEP and _is_nothing(node)):
        return None
    return _offence(rule, name)


def surroundings(name: str) -> Offence | None:
    """What is wrong with looking at this between durable calls."""
    return _offence(Rule.SURROUNDINGS, name) if name in ("os.environ", "os.environb") else None


def file_method(name: str) -> Offence | None:
    """What is wrong with calling a method of this name on something unknown: only paths have it."""
    return _offence(Rule.OUTSIDE, f".{name}") if name in _ONLY_PATHS else None


def _offence(rule: Rule, name: str) -> Offence:
    return Offence(rule, f"{_shown(name)} {_REASONS[rule]}")


def _shown(name: str) -> str:
    return name.removeprefix("builtins.").replace("()", "")


def _is_nothing(node: ast.Call) -> bool:
    """`asyncio.sleep(0)` only lets others go on."""
    return bool(node.args) and isinstance(node.args[0], ast.Constant) and not node.args[0].value


def _rule_of(name: str) -> Rule | None:
    if (rule := _BY_NAME.get(name)) is not None:
        return rule
    return next((rule for rule, pattern in _BY_PATTERN if pattern.fullmatch(name)), None)


def _names(text: str, prefix: str = "") -> frozenset[str]:
    return frozenset(prefix + name for name in text.split())


_OF_AN_APP = _names(
    "start start_json start_many result status get list steps cancel retry send_event pause resume fork search"
)

_CLOCK = (
    _names(
        "time time_ns monotonic monotonic_ns perf_counter perf_counter_ns process_time process_time_ns thread_time"
        " thread_time_ns clock_gettime clock_gettime_ns localtime gmtime ctime asctime strftime",
        "time.",
    )
    | _names("datetime.now datetime.utcnow datetime.today date.today", "datetime.")
    | _names("now localtime localdate", "django.utils.timezone.")
    | _names("Timestamp.now Timestamp.utcnow Timestamp.today", "pandas.")
    | _names("now today yesterday tomorrow", "pendulum.")
    | _names("now utcnow", "arrow.")
    | _names("Instant.now ZonedDateTime.now", "whenever.")
    | {"asyncio.AbstractEventLoop().time"}
)

_CHANCE = _names("uuid1 uuid4 uuid6 uuid7 getnode", "uuid.") | _names("urandom getrandom", "os.") | {"random.Random"}

_SURROUNDINGS = (
    _names("getenv getenvb getpid getppid getcwd getlogin uname cpu_count", "os.")
    | _names("gethostname getfqdn", "socket.")
    | _names("node platform uname", "platform.")
    | {"getpass.getuser"}
)

_SLEEP = _names("asyncio.sleep time.sleep anyio.sleep trio.sleep")

_RACE = (
    _names("wait as_completed wait_for", "asyncio.")
    | _names("wait as_completed", "concurrent.futures.")
    | _names("move_on_after fail_after", "anyio.")
)

_THREADS = (
    _names("asyncio.to_thread asyncio.AbstractEventLoop().run_in_executor anyio.to_thread.run_sync")
    | _names("Thread Timer", "threading.")
    | _names("ThreadPoolExecutor ProcessPoolExecutor", "concurrent.futures.")
    | _names("Process Pool pool.Pool pool.ThreadPool Manager", "multiprocessing.")
)

_FILES = (
    _names("open input", "builtins.")
    | _names("open open_code", "io.")
    | _names(
        "open fdopen listdir scandir walk stat lstat access remove unlink rename renames replace mkdir makedirs rmdir"
        " removedirs link symlink readlink chmod chown truncate utime system popen posix_spawn fork kill",
        "os.",
    )
    | _names(
        "exists lexists isfile isdir islink ismount getsize getmtime getatime getctime samefile realpath", "os.path."
    )
    | _names(
        "open read_text read_bytes write_text write_bytes exists is_file is_dir is_symlink stat lstat iterdir glob"
        " rglob walk mkdir rmdir touch unlink rename replace chmod symlink_to hardlink_to readlink resolve samefile",
        "pathlib.Path().",
    )
    | _names(
        "open_connection open_unix_connection start_server create_subprocess_exec create_subprocess_shell", "asyncio."
    )
)

_ONLY_PATHS = _names("read_text read_bytes write_text write_bytes")

_BY_NAME = {
    name: rule
    for rule, names in (
        (Rule.CLOCK, _CLOCK),
        (Rule.CHANCE, _CHANCE),
        (Rule.OUTSIDE, _FILES),
        (Rule.SURROUNDINGS, _SURROUNDINGS),
        (Rule.SLEEP, _SLEEP),
        (Rule.RACE, _RACE),
        (Rule.THREADS, _THREADS),
    )
    for name in names
}

# With so many arguments they say the same each time: the local time of a given second, a generator with a given seed.
_UNLESS_GIVEN = {
    "time.localtime": 1,
    "time.gmtime": 1,
    "time.ctime": 1,
    "time.asctime": 1,
    "time.strftime": 2,
    "random.Random": 1,
    "numpy.random.default_rng": 1,
    "numpy.random.RandomState": 1,
}

# Of these modules every function counts, and every method of a client; making one, a class, reaches nobody yet.
_CLIENTS = r"(?:\w*(?:Client|Session|Connection|Pool|PoolManager|Redis|SMTP\w*|FTP\w*|IMAP4\w*|POP3\w*|Popen)\(\)\.)"
_MODULES = (
    "requests|httpx|aiohttp|urllib3|urllib\\.request|http\\.client|socket|ssl|websockets|smtplib|ftplib|imaplib|poplib"
    "|subprocess|shutil|tempfile|glob|aiofiles|sqlite3|psycopg|psycopg2|psycopg_pool|asyncpg|aiomysql|pymysql|pymongo"
    "|redis(?:\\.asyncio)?|boto3|botocore|paramiko"
)
_BY_PATTERN = (
    (Rule.CHANCE, re.compile(r"random\.[a-z]\w*|random\.SystemRandom\(\)\.\w+|secrets\.[a-z]\w*")),
    (Rule.CHANCE, re.compile(r"numpy\.random\.(?:[a-z]\w*|RandomState)")),
    (Rule.OUTSIDE, re.compile(rf"(?:{_MODULES})\.{_CLIENTS}?[a-z]\w*")),
    (Rule.OUTSIDE, re.compile(r"urllib\.request\.[a-z]\w*|subprocess\.Popen")),
)
