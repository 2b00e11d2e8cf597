"""``ner_extract`` as a workflow of Microsoft Agent Framework: the same prompts, settings and steps."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from agent_framework import Agent, Executor, Message, Workflow, WorkflowBuilder, WorkflowContext, handler
from agent_framework.openai import OpenAIChatCompletionClient
from cleanse import cleanse
from typing_extensions import Never

OPTIONS = {"temperature": 0, "max_tokens": 40, "stop": ["\n"]}
ROLE = re.compile(r"^# (system|user|assistant):\n(.*?)(?=^# |\Z)", re.MULTILINE | re.DOTALL)


@dataclass
class Sentence:
    text: str


@dataclass
class Completion:
    text: str
    completion: str


class Extract(Executor):
    def __init__(self, variant: str) -> None:
        super().__init__(id="extract")
        self._prompt = (Path(__file__).parent / f"{variant}.jinja2").read_text(encoding="utf-8")
        # The address and the key are in OPENAI_BASE_URL and OPENAI_API_KEY.
        self._agent = Agent(OpenAIChatCompletionClient("gemma-3-270m"), default_options=OPTIONS)

    @handler
    async def ask(self, sentence: Sentence, ctx: WorkflowContext[Completion]) -> None:
        parts = ROLE.findall(self._prompt.replace("{{text}}", sentence.text))
        answer = await self._agent.run([Message(role, [text.strip()]) for role, text in parts])
        await ctx.send_message(Completion(text=sentence.text, completion=answer.text))


class Cleanse(Executor):
    @handler
    async def clean(self, answer: Completion, ctx: WorkflowContext[Never, dict[str, list[str]]]) -> None:
        await ctx.yield_output({"titles": cleanse(answer.completion, answer.text)})


def create_workflow(variant: str = "few_shot") -> Workflow:
    """Make a workflow for one sentence: a workflow runs one at a time."""
    extract, cleanse_titles = Extract(variant), Cleanse(id="cleanse")
    return WorkflowBuilder(start_executor=extract).add_edge(extract, cleanse_titles).build()
