#!/usr/bin/env python3
"""Looks at a compose file as docker-compose reads it (`config` on standard input), without running it: every service is
healthy by a check and started again, those of Doorward are shut in, and Doorward itself would start with the settings and
secrets that each of them gets.

    docker-compose --file FILE config | deploy/compose/check.py PROGRAM
"""

import os
import subprocess
import sys

import yaml

GRACE = 20  # server.grace_seconds


def seconds(text):
    minutes, _, rest = text.rpartition("m")
    return 60 * int(minutes or 0) + int(rest.rstrip("s") or 0)


def wrong_with(service):
    """What every service needs, and those of Doorward need besides."""
    if "healthcheck" not in service:
        yield "has no health check"
    if service.get("restart") != "unless-stopped":
        yield "is not started again"
    if "no-new-privileges:true" not in service.get("security_opt", []):
        yield "may get new privileges"
    if "DOORWARD__PUBLIC_URL" not in service.get("environment", {}):
        return
    environment = service["environment"]
    if not service.get("read_only") or service.get("cap_drop") != ["ALL"]:
        yield "is not shut in"
    if not service.get("mem_limit") or not service.get("pids_limit"):
        yield "is without limits"
    # The grace is over twice: first for what is inside, then for workers.
    if seconds(service["stop_grace_period"]) < int(environment["DOORWARD__SERVER__DRAIN_SECONDS"]) + 2 * GRACE + 1:
        yield "is killed before its grace is over"
    # Addresses are none, nor is a file.
    open_secrets = [name for name, value in environment.items()
                    if name.endswith(("_KEY", "_URL")) and "://" not in value and not value.startswith("sqlite:")]
    if open_secrets:
        yield f"has secrets in its environment: {open_secrets}"


def settings(service, files):
    """The environment as Doorward gets it, with secrets where they are here."""
    given = {f"/run/secrets/{it['target']}" if "target" in it else f"/run/secrets/{it['source']}": files[it["source"]]["file"]
             for it in service.get("secrets", [])}
    values = {name: given.get(str(value), str(value)) for name, value in service["environment"].items()}
    missing = [value for value in values.values() if value.startswith("/run/secrets/")]
    return values, [f"wants {value}, which it is not given" for value in missing]


def main():
    compose = yaml.safe_load(sys.stdin)
    problems, asked = [], 0
    for name, service in compose["services"].items():
        problems += [f"{name} {problem}" for problem in wrong_with(service)]
        if "DOORWARD__PUBLIC_URL" not in service.get("environment", {}):
            continue
        values, missing = settings(service, compose["secrets"])
        problems += [f"{name} {problem}" for problem in missing]
        values |= {"DOORWARD_PROFILE": "production", "PATH": os.environ["PATH"]}
        check = subprocess.run([sys.argv[1], "config", "check"], env=values, capture_output=True, text=True)
        asked += 1
        if check.returncode != 0:
            problems.append(f"{name} would not start: {check.stderr}")
    if not asked:
        problems.append("nobody here is Doorward")
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


sys.exit(main())
