from openai import OpenAI
from promptflow.client import PFClient
from promptflow.core import OpenAIModelConfiguration


class Asker:
    def __init__(self, model_config: OpenAIModelConfiguration):
        self.config = model_config

    def __call__(self, question: str):
        client = OpenAI(base_url=self.config.base_url, api_key=self.config.api_key, max_retries=0)
        reply = client.chat.completions.create(
            model=self.config.model, messages=[{"role": "user", "content": question}], temperature=0
        )
        return {"answer": reply.choices[0].message.content}


def ask_client(question: str):
    connection = PFClient().connections.get(question)
    return {"type": type(connection).__name__, "base_url": connection.base_url, "key": connection.api_key}
