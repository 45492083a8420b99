"""The pages behind URLs that answer waits: HTML without scripts, in which every text from outside is escaped."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from html import escape

from stepwell.core.callbacks import Callback
from stepwell.schemas import Fault
from stepwell.server.forms import Field, Kind, asked, leaves

MAX_NAME = 200  # characters of a person's name

STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --paper: #fff; --ground: #f3f4f6; --line: #8c959f;
  --quiet: #59636e; --good: #1a6e3c; --bad: #b3261e; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e9ee; --paper: #1b1f26; --ground: #12151a; --line: #6b7684;
    --quiet: #a3adba; --good: #217344; --bad: #ff8f87; }
}
* { box-sizing: border-box; }
body { margin: 0; padding: 1rem; background: var(--ground); color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; }
main { max-width: 36rem; margin: 1rem auto; padding: 1.5rem; background: var(--paper); border-radius: .75rem; }
h1 { margin: 0 0 1rem; font-size: 1.35rem; line-height: 1.3; white-space: pre-line; overflow-wrap: anywhere; }
p { margin: .5rem 0; overflow-wrap: anywhere; }
small { display: block; }
.quiet, small { color: var(--quiet); font-size: .9rem; }
label, legend { display: block; margin: 1rem 0 .25rem; padding: 0; font-weight: 600; overflow-wrap: anywhere; }
label .quiet, legend .quiet { font-weight: 400; }
input, select, textarea { width: 100%; min-height: 2.75rem; padding: .6rem; border: 1px solid var(--line);
  border-radius: .5rem; background: var(--paper); color: inherit; font: inherit; }
textarea { resize: vertical; }
fieldset { min-width: 0; margin: 1.25rem 0 0; padding: 0; border: 0; }
.group { padding-left: 1rem; border-left: 3px solid var(--line); }
.group legend { margin: 0; }
[aria-invalid] { border-color: var(--bad); border-width: 2px; }
:focus-visible { outline: 3px solid #4c8dff; outline-offset: 2px; }
.fault { color: var(--bad); font-weight: 600; }
.buttons { display: flex; flex-wrap: wrap; gap: .75rem; margin: 1.25rem 0; }
button { flex: 1 1 8rem; min-height: 2.9rem; padding: .6rem 1rem; border: 2px solid var(--good);
  border-radius: .5rem; background: var(--good); color: #fff; font: inherit; font-weight: 600; cursor: pointer; }
button.no { border-color: var(--bad); background: var(--paper); color: var(--bad); }
"""

_STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)

HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": _POLICY,
    "Referrer-Policy": "no-referrer",  # the address is the right to answer
    "Cache-Control": "no-store",
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
}


def form_page(
    callback: Callback,
    fields: Sequence[Field],
    *,
    entered: Mapping[str, str] | None = None,
    faults: Sequence[Fault] = (),
) -> str:
    """Asks for an answer. `entered` is what was sent before, with its `faults`."""
    shown = asked(fields)
    buttons = [field for field in shown if field.kind is Kind.BUTTONS]
    filled = {field.key: field.initial for field in leaves(shown)} if entered is None else entered
    told = {field.key: _faults_of(field, faults) for field in leaves(shown)}
    known = {fault for found in told.values() for fault in found}
    body = [
        _title(callback),
        _summary(faults, [fault for fault in faults if fault not in known]),
        '<form method="post" autocomplete="on">',
        _NO_ENTER if buttons else "",
        *(_asked(field, filled, told) for field in shown if field not in buttons),
        _person(filled.get("by", ""), [fault for fault in faults if fault[0] == "by"]),
        _ending(buttons),
        "</form>",
        f'<p class="quiet">It can be answered once, until {_moment(callback.expires_at)}.</p>',
    ]
    return _page(callback.prompt or callback.name, body)


_NO_ENTER = '<button type="submit" disabled hidden></button>'  # what Enter would press: nobody approves by a slip
_Told = Mapping[str, Sequence[Fault]]  # by the keys of fields


def thanks_page(callback: Callback) -> str:
    """Says that the answer was taken."""
    assert callback.answered_at is not None, "it has just been answered"
    who = f" by <strong>{escape(callback.answered_by)}</strong>" if callback.answered_by else ""
    told = f"<p>Answered{who} at {_moment(callback.answered_at)}. You can close this page.</p>"
    return _page(
        "Thank you", ["<h1>Thank you</h1>", f'<p class="quiet">{escape(callback.prompt or callback.name)}</p>', told]
    )


def closed_page(title: str, message: str) -> str:
    """Says why there is nothing to answer."""
    sentence = f"{message[:1].upper()}{message[1:].removesuffix('.')}."
    return _page(title, [f"<h1>{escape(title)}</h1>", f"<p>{escape(sentence)}</p>"])


def _page(title: str, body: Sequence[str]) -> str:
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
    named = escape(title.strip().partition("\n")[0][:120])
    content = "\n".join(part for part in body if part)
    return (
        f'<!doctype html>\n<html lang="en"><head>{head}<title>{named}</title><style>{STYLE}</style></head>'
        f"<body><main>\n{content}\n</main></body></html>\n"
    )


def _title(callback: Callback) -> str:
    above = f'<p class="quiet">{escape(callback.name)}</p>' if callback.prompt else ""
    return f"{above}<h1>{escape(callback.prompt or callback.name)}</h1>"


def _summary(faults: Sequence[Fault], others: Sequence[Fault]) -> str:
    if not faults:
        return ""
    lines = "".join(f"<p>{escape(path)} {escape(message)}</p>" for path, message in others if path != "by")
    told = '<p class="fault">This was not accepted. Please correct it and send it again.</p>'
    return f'<div role="alert">{told}{lines}</div>'


def _faults_of(field: Field, faults: Sequence[Fault]) -> list[Fault]:
    """Those of the field and of what is within it."""
    within = (f"{field.path}.", f"{field.path}[")
    return [fault for fault in faults if fault[0] == field.path or fault[0].startswith(within)]


def _asked(field: Field, filled: Mapping[str, str], told: _Told, *, is_within_needed: bool = True) -> str:
    """The field, or the fields of an object. A browser insists on what is needed where its object is."""
    is_needed = is_within_needed and field.is_needed
    if field.kind is not Kind.GROUP:
        return _single(field, filled.get(field.key, ""), told[field.key], is_needed=is_needed)
    parts = (_asked(part, filled, told, is_within_needed=is_needed) for part in field.parts)
    help = f"<small>{escape(field.help)}</small>" if field.help else ""
    return f'<fieldset class="group"><legend>{_label(field)}</legend>{help}{"".join(parts)}</fieldset>'


def _single(field: Field, value: str, faults: Sequence[Fault], *, is_needed: bool) -> str:
    name = escape(field.key)
    notes = [f'<small id="{name}-help">{escape(field.help)}</small>'] * bool(field.help)
    notes += [_fault(f"{name}-fault", field.path, faults)] * bool(faults)
    described = " ".join([f"{name}-help"] * bool(field.help) + [f"{name}-fault"] * bool(faults))
    attributes = f'id="{name}" name="{name}"'
    attributes += f' aria-describedby="{described}"' if described else ""
    attributes += ' aria-invalid="true"' if faults else ""
    attributes += " required" if is_needed and field.kind is not Kind.LIST else ""  # a list may be empty
    return "".join([f'<label for="{name}">{_label(field)}</label>', _control(field, value, attributes), *notes])


def _label(field: Field) -> str:
    mark = "" if field.is_needed else ' <span class="quiet">(optional)</span>'
    return escape(field.label or "Answer") + mark


def _fault(id: str, path: str, faults: Sequence[Fault]) -> str:
    """What is wrong there, with the place in it if it is not all of it."""
    told = (f"{where[len(path) :].removeprefix('.')} {message}".strip() for where, message in faults)
    return f'<p class="fault" id="{id}">{escape("; ".join(told))}</p>'


def _control(field: Field, value: str, attributes: str) -> str:
    match field.kind:
        case Kind.CHOICE:
            return f"<select {attributes}>{_options(field, value)}</select>"
        case Kind.LINES | Kind.LIST | Kind.JSON:
            rows = 6 if field.kind is Kind.JSON else 3
            return f'<textarea {attributes} rows="{rows}">\n{escape(value)}</textarea>'
    more = f' step="{_STEPS[field.kind]}"' if field.kind in _STEPS else ""
    for keyword, attribute in _LIMITS.items():
        if keyword in field.schema:
            more += f' {attribute}="{escape(str(field.schema[keyword]))}"'
    return f'<input type="{_INPUTS.get(field.kind, field.kind.value)}" {attributes}{more} value="{escape(value)}">'


_INPUTS = {Kind.INTEGER: "number", Kind.NUMBER: "number", Kind.UTC: "datetime-local"}
_STEPS = {Kind.INTEGER: "1", Kind.NUMBER: "any", Kind.UTC: "1", Kind.LOCAL: "1", Kind.TIME: "1"}
_LIMITS = {"minimum": "min", "maximum": "max", "minLength": "minlength", "maxLength": "maxlength"}


def _options(field: Field, value: str) -> str:
    """With an empty choice, unless one must be made and has been: nobody approves by not looking."""
    is_made = bool(value) and field.is_needed
    nothing = [] if is_made else [("", "Please choose" if field.is_needed else "-")]
    return "".join(
        f'<option value="{escape(one)}"{" selected" if one == value else ""}>{escape(words)}</option>'
        for one, words in (*nothing, *field.choices)
    )


def _person(value: str, faults: Sequence[Fault]) -> str:
    more = ' aria-describedby="by-fault" aria-invalid="true"' if faults else ""
    return (
        '<label for="by">Your name</label>'
        f'<input type="text" id="by" name="by" autocomplete="name" required maxlength="{MAX_NAME}"{more}'
        f' value="{escape(value)}">' + (_fault("by-fault", "by", faults) if faults else "")
    )


def _ending(buttons: Sequence[Field]) -> str:
    if not buttons:
        return '<div class="buttons"><button type="submit">Send</button></div>'
    (field,) = buttons
    name, told = escape(field.key), field.help or (field.label if field.name else "")
    legend = f"<legend>{escape(told)}</legend>" if told else ""
    yes = f'<button type="submit" name="{name}" value="true">Approve</button>'
    no = f'<button type="submit" class="no" name="{name}" value="false">Decline</button>'
    return f'<fieldset>{legend}<div class="buttons">{yes}{no}</div></fieldset>'


def _moment(at: datetime) -> str:
    return f'<time datetime="{at.isoformat()}">{at:%Y-%m-%d %H:%M} UTC</time>'
