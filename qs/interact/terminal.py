"""The three dialogs of an interact profile at a real terminal, in the line where the cursor stands.

Yes/No and Input are lines with the default in brackets, taken by Enter; a Radiolist is moved
through with the arrows or its numbers. They are drawn on standard error: standard output may be the
result's. Who is asked at all is qs.interact.asking's part.
"""

from __future__ import annotations

import sys
from typing import Any

from qs.config.interact import UNREADABLE, Question, read_as

_SHORT = {"y": True, "n": False}


class Terminal:
    """One terminal's input and output, as prompt_toolkit sees them. Made without them: this
    process's own.
    """

    def __init__(self, input: Any = None, output: Any = None) -> None:
        from prompt_toolkit.input import create_input
        from prompt_toolkit.output import create_output

        self._input = input or create_input(sys.stdin)
        self._output = output or create_output(stdout=sys.stderr)

    async def ask(self, question: Question) -> object:
        """The person's answer, of the question's type and among its options; asked again until it
        is.

        Raises KeyboardInterrupt on Ctrl-C and EOFError on Ctrl-D or a terminal that has gone.
        """
        if question.choices is not None:
            return await self._choose(question)
        while True:
            text = (await self._line(prompt_of(question))).strip()
            answer = answer_of(question, text)
            if answer is not UNREADABLE:
                return answer
            self.say(refusal(question, text), "ansired")

    def say(self, text: str, style: str = "") -> None:
        """One line of ours."""
        from prompt_toolkit import print_formatted_text
        from prompt_toolkit.formatted_text import FormattedText

        print_formatted_text(FormattedText([(style, text)]), output=self._output)

    async def _line(self, message: str) -> str:
        from prompt_toolkit import PromptSession

        session: Any = PromptSession(message, input=self._input, output=self._output)
        # The run's own handler of Ctrl-C stays; at the prompt the key arrives as a key.
        return await session.prompt_async(handle_sigint=False)

    async def _choose(self, question: Question) -> object:
        from prompt_toolkit.application import Application
        from prompt_toolkit.key_binding import KeyBindings
        from prompt_toolkit.layout import HSplit, Layout
        from prompt_toolkit.widgets import Label, RadioList

        choices = list(question.choices or ())
        default = question.preset if question.preset in choices else choices[0]
        options = RadioList(
            [(choice, str(choice)) for choice in choices],
            default=default,
            select_on_focus=True,
            open_character=" ",
            select_character=">",
            close_character="",
            show_cursor=False,
            show_numbers=True,
            show_scrollbar=False,
        )
        keys = KeyBindings()

        @keys.add("enter", eager=True)
        def _accept(event: Any) -> None:
            event.app.exit(result=options.current_value)

        @keys.add("c-c", eager=True)
        def _interrupt(event: Any) -> None:
            event.app.exit(exception=KeyboardInterrupt())

        @keys.add("c-d", eager=True)
        def _end(event: Any) -> None:
            event.app.exit(exception=EOFError())

        asked = Label(
            f"{heading(question)} (arrows or numbers, then Enter)", dont_extend_height=True
        )
        app: Any = Application(
            layout=Layout(HSplit([asked, options]), focused_element=options),
            key_bindings=keys,
            input=self._input,
            output=self._output,
            erase_when_done=True,
        )
        answer = await app.run_async(handle_sigint=False)
        self.say(f"{heading(question)}: {answer}")
        return answer


def heading(question: Question) -> str:
    """What the question says, and its name, which an answers file would use."""
    note = question.note.strip()
    return f"{note} ({question.name})" if note and note != question.name else question.name


def prompt_of(question: Question) -> str:
    """The line that a Yes/No or Input dialog begins with: the question, what is allowed, and the
    default.
    """
    preset = question.preset
    if _is_yes_no(question):
        shown = {True: "Y/n", False: "y/N", None: "y/n"}[
            preset if isinstance(preset, bool) else None
        ]
        return f"{heading(question)} [{shown}] "
    allowed = "" if question.type == "str" else f", {question.allowed}"
    default = "" if preset is None else f" [{preset}]"
    return f"{heading(question)}{allowed}{default}: "


def answer_of(question: Question, text: str) -> object:
    """What a line means: nothing is the default; UNREADABLE where it cannot be an answer."""
    if not text:
        return UNREADABLE if question.preset is None else question.preset
    if _is_yes_no(question):
        return _SHORT.get(text.lower(), read_as("bool", text))
    return question.read(text)


def refusal(question: Question, text: str) -> str:
    """Why a line was no answer, and what would be one."""
    allowed = "y or n" if _is_yes_no(question) else question.allowed
    if not text:
        return f"  {question.name} has no default; type {allowed}"
    return f"  {text!r} is not {allowed}; please answer again"


def _is_yes_no(question: Question) -> bool:
    return question.dialog_type == "Yes/No Dialog" and question.type == "bool"
