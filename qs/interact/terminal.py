"""The three dialogs of an interact profile at a real terminal, asked by questionary.

Yes/No and Input are lines that show the default in brackets, which Enter takes; in a Radiolist the
arrows or the numbers choose. They are drawn on standard error, since standard output may carry the
result. qs.interact.asking decides whether anybody is asked.
"""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Any

from qs.base.console import as_it_is
from qs.base.files import shortened
from qs.base.visible import one_line, visible
from qs.config.interact import UNREADABLE, Question, read_as
from qs.interact.countdown import counting_down
from qs.interact.settling import NOT_ANSWERED

if TYPE_CHECKING:
    import questionary
    from prompt_toolkit.input import Input
    from prompt_toolkit.key_binding.key_processor import KeyPressEvent
    from prompt_toolkit.output import Output

_SHORT = {"y": True, "n": False}
_MOST_NUMBERED = 36  # questionary's keys are the digits and letters
_LONGEST, _LONGEST_NOTE = 200, 2000  # characters of a choice, of a question


class Terminal:
    """One terminal's input and output for prompt_toolkit; by default this process's own."""

    def __init__(self, input: Input | None = None, output: Output | None = None) -> None:
        from prompt_toolkit.input import create_input
        from prompt_toolkit.output import create_output

        self._output = output or create_output(stdout=as_it_is(sys.stderr))
        self._streams: Any = {"input": input or create_input(sys.stdin), "output": self._output}

    async def ask(self, question: Question, within_s: float | None = None) -> object:
        """The person's answer; asks again until it is of the question's type and among its options.

        within_s   how long to wait for the first key, with the seconds left below the question; if
                   there is none, the answer is NOT_ANSWERED. None: for ever

        Raises KeyboardInterrupt on Ctrl-C, and EOFError on Ctrl-D or if the terminal is gone.
        """
        if question.choices is not None:
            return await self._choose(question, within_s)
        while True:
            text = await self._line(prompt_of(question), within_s)
            if text is NOT_ANSWERED:
                return text
            text, within_s = str(text).strip(), None  # somebody is there
            answer = answer_of(question, text)
            if answer is not UNREADABLE:
                return answer
            self.say(refusal(question, text), "ansired")

    def say(self, text: str, style: str = "") -> None:
        """One line of ours."""
        from prompt_toolkit import print_formatted_text
        from prompt_toolkit.formatted_text import FormattedText

        print_formatted_text(FormattedText([(style, visible(text))]), output=self._output)

    async def _line(self, message: str, within_s: float | None) -> object:
        import questionary

        asked = questionary.text(visible(message), qmark="", **self._streams)
        return await self._run(asked, within_s)

    async def _choose(self, question: Question, within_s: float | None) -> object:
        import questionary

        choices = list(question.choices or ())
        default = question.preset if question.preset in choices else choices[0]
        offered = [
            questionary.Choice(one_line(choice, _LONGEST), value=choice) for choice in choices
        ]
        answer = await self._run(
            questionary.select(
                visible(heading(question)),
                offered,
                default=offered[choices.index(default)],
                qmark="",
                pointer=">",
                instruction="(arrows or numbers, then Enter)",
                use_shortcuts=len(choices) <= _MOST_NUMBERED,
                erase_when_done=True,
                **self._streams,
            ),
            within_s,
        )
        if answer is not NOT_ANSWERED:
            self.say(f"{heading(question)}: {one_line(answer, _LONGEST)}")
        return answer

    async def _run(self, asked: questionary.Question, within_s: float | None) -> Any:
        """The answer to one of questionary's questions; Ctrl-D ends any of them."""
        from prompt_toolkit.key_binding import KeyBindings, merge_key_bindings

        keys = KeyBindings()

        @keys.add("c-d", eager=True)
        def _end(event: KeyPressEvent) -> None:
            event.app.exit(exception=EOFError())

        application = asked.application
        own = [application.key_bindings] if application.key_bindings else []
        application.key_bindings = merge_key_bindings([*own, keys])
        with contextlib.ExitStack() as stack:
            if within_s is not None:
                stack.enter_context(counting_down(application, within_s))
            # The run's own handler of Ctrl-C stays; at the prompt the key arrives as a key.
            return await application.run_async(handle_sigint=False)


def heading(question: Question) -> str:
    """The question's text, and its name for use in an answers file."""
    note = shortened(question.note.strip(), _LONGEST_NOTE)
    return f"{note} ({question.name})" if note and note != question.name else question.name


def prompt_of(question: Question) -> str:
    """The first line of a Yes/No or Input dialog: the question, what is allowed, and the
    default.
    """
    preset = question.preset
    if _is_yes_no(question):
        shown = {True: "Y/n", False: "y/N", None: "y/n"}[
            preset if isinstance(preset, bool) else None
        ]
        return f"{heading(question)} [{shown}]"
    allowed = "" if question.type == "str" else f", {question.allowed}"
    default = "" if preset is None else f" [{one_line(preset, _LONGEST)}]"
    return f"{heading(question)}{allowed}{default}:"


def answer_of(question: Question, text: str) -> object:
    """The meaning of a line: the default if it is empty, UNREADABLE if it is not an answer."""
    if not text:
        return UNREADABLE if question.preset is None else question.preset
    if _is_yes_no(question):
        return _SHORT.get(text.lower(), read_as("bool", text))
    return question.read(text)


def refusal(question: Question, text: str) -> str:
    """Why a line is not an answer, and what would be."""
    allowed = "y or n" if _is_yes_no(question) else question.allowed
    if not text:
        return f"  {question.name} has no default; enter {allowed}"
    return f"  {one_line(repr(text), _LONGEST)} is not {allowed}; please answer again"


def _is_yes_no(question: Question) -> bool:
    return question.dialog_type == "Yes/No Dialog" and question.type == "bool"
