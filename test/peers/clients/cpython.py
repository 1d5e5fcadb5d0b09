"""Sends by CPython's smtplib, as its documentation has it: `with smtplib.SMTP(...) as smtp: smtp.sendmail(...)`.

Reads its tasks as JSON, the seconds of patience as its argument, and prints an answer a line.
"""

import concurrent.futures
import json
import smtplib
import sys
import threading

PATIENCE = float(sys.argv[1])
printing = threading.Lock()


def claim_of_code(code):
    """What the code of a refusal says; -1 stands for a reply that made no sense."""
    if 400 <= code < 500:
        return "later"
    return "refused" if code >= 500 else "error"


def claim_of(error):
    return claim_of_code(error.smtp_code) if isinstance(error, smtplib.SMTPResponseException) else "error"


def send(task):
    """An answer to a task: a claim for each recipient, and the exception's words."""
    client = smtplib.LMTP if task["protocol"] == "lmtp" else smtplib.SMTP
    recipients, mail = task["to"], task["mail"]
    message = mail["header"] + mail["line"] * mail["lines"]
    try:
        session = client("127.0.0.1", task["port"], local_hostname="client.test", timeout=PATIENCE)
    except Exception as error:  # Nothing was handed over: it can be tried again.
        claim = claim_of(error)
        claim = "later" if claim == "error" else claim
        return answer(task, {to: claim for to in recipients}, error)
    try:
        with session as smtp:
            refused = smtp.sendmail(task["from"], recipients, message)
        return answer(task, {to: claim_of_code(refused[to][0]) if to in refused else "delivered" for to in recipients})
    except smtplib.SMTPRecipientsRefused as error:
        codes = {to: claim_of_code(code) for to, (code, _) in error.recipients.items()}
        return answer(task, {to: codes.get(to, "error") for to in recipients}, error)
    except Exception as error:
        return answer(task, {to: claim_of(error) for to in recipients}, error)


def answer(task, claims, error=None):
    words = "" if error is None else f"{type(error).__name__}: {error}"
    return {"id": task["id"], "claims": claims, "words": words}


def answer_one(task):
    line = json.dumps(send(task))
    with printing:
        print(line, flush=True)


with concurrent.futures.ThreadPoolExecutor(16) as pool:
    list(pool.map(answer_one, json.load(sys.stdin)))
