"""One run of one DMTF validator against one service: `judge.py JUDGE ROOT USER PASSWORD [OPTION...]`.

The validator's own `main` does the work. Its findings are taken from memory and not from its pages, and printed as one JSON document:
`{"judge": ..., "exit": ..., "counts": {...}, "findings": [{"result", "what", "where", "message"}...]}`, passes left out of the findings.
"""

import argparse
import collections
import contextlib
import json
import os
import pathlib
import shutil
import sys
import time

import redfish

# The report's only reader is a program: what costs seconds and shows colours is left out.
REPORTS = {"html_report", "xlsx_report", "tsv_report"}
# What stands for ten seconds: a delay after which the checkers go on polling anyway, and the time between two polls, of which there are 60.
SETTLED_S = 0.5
POLL_S = 2


class Found:
    """Keeps what was made of the class `SystemUnderTest` of a validator."""

    def __init__(self, module):
        self.made = None
        original = module.SystemUnderTest

        def make(*args, **kwargs):
            self.made = original(*args, **kwargs)
            return self.made

        module.SystemUnderTest = make


def without_reports(module):
    for name in REPORTS & set(vars(module.report)):
        setattr(module.report, name, lambda *args, **kwargs: "-")


def check_certificates(cafile):
    """DMTF's library checks certificates only where it is told whom to trust, and the validators do not pass that on."""
    original = redfish.redfish_client

    def client(*args, **kwargs):
        kwargs.setdefault("cafile", cafile)
        return original(*args, **kwargs)

    redfish.redfish_client = client


class Clock:
    """The module `time` with shorter naps."""

    def __init__(self, long_nap):
        self.long_nap = long_nap

    def sleep(self, seconds):
        time.sleep(self.long_nap if seconds >= 10 else seconds)


def run(main, *argv):
    """The exit status of a console script. What it prints goes to stderr."""
    sys.argv = list(argv)
    with contextlib.redirect_stdout(sys.stderr):
        try:
            main()
        except SystemExit as ended:
            return ended.code or 0
    return 0


def of_resources(sut):
    for uri, resource in sut._resources.items():
        body = resource["Response"].dict if resource["Response"] is not None else {}
        kind = str(body.get("@odata.type", "?")).rsplit(".", 1)[-1]
        for path, result in resource["Results"].items():
            verdict = getattr(result["Result"], "name", result["Result"])
            yield verdict, f"{kind}{path if path.startswith('/') else '/' + path}", uri, f"{result['Value']}: {result['Message']}"
        if resource["Exception"] is not None:
            yield "FAIL", "exception", uri, repr(resource["Exception"])


def service(arguments, work):
    from redfish_service_validator import console_scripts as tool

    found = Found(tool)
    without_reports(tool)
    # It may write there, and published data is nobody's to write.
    schemas = work / "csdl"
    shutil.copytree(arguments.data / "csdl", schemas)
    os.chmod(schemas, 0o755)
    login = ["--rhost", arguments.root, "--user", arguments.user, "--password", arguments.password]
    paths = ["--logdir", str(work), "--schema_directory", str(schemas), "--skipschema"]
    code = run(tool.main, "rf_service_validator", *login, *paths, "--authtype", arguments.auth)
    return code, of_resources(found.made) if found.made else []


def interop(arguments, work):
    from redfish_interop_validator import console_scripts as tool

    found = Found(tool)
    without_reports(tool)
    login = ["--rhost", arguments.root, "--user", arguments.user, "--password", arguments.password]
    profile = str(arguments.data / "profiles" / arguments.profile)
    code = run(tool.main, "rf_interop_validator", *login, "--logdir", str(work), profile)

    def findings(sut):
        yield from of_resources(sut)
        for kind, result in sut._service_resource_results["Results"].items():
            yield result["Result"].name, f"{kind}", "the service", result["Message"]

    return code, findings(found.made) if found.made else []


def protocol(arguments, work):
    from redfish_protocol_validator import console_scripts as tool
    from redfish_protocol_validator import utils

    found = Found(tool)
    without_reports(tool)
    # Nothing here answers SSDP, and a test sends nothing to a network's multicast address.
    utils.discover_ssdp = lambda **_: {}
    login = ["--rhost", arguments.root, "--user", arguments.user, "--password", arguments.password]
    certificates = ["--ca-bundle", arguments.ca] if arguments.ca else ["--avoid-http-redirect"]
    code = run(tool.main, "rf_protocol_validator", *login, "--report-dir", str(work), *certificates)

    def findings(sut):
        for assertion, entries in sut.results.items():
            for entry in entries:
                where = f"{entry['method']} {entry['uri']} {entry['status']}"
                yield entry["result"].name, assertion.name, where, entry["msg"]

    return code, findings(found.made) if found.made else []


def use_cases(arguments, work):
    from redfish_use_case_checkers import console_scripts as tool

    found = Found(tool)
    without_reports(tool)
    tool.power_control.time = Clock(SETTLED_S)
    tool.boot_override.time = Clock(POLL_S)
    login = ["--rhost", arguments.root, "--user", arguments.user, "--password", arguments.password]
    tests = ["--test-list", *arguments.tests] if arguments.tests else []
    # What is no shall of the specification is a warning then, which the test has to explain like any other.
    code = run(tool.main, "rf_use_case_checkers", *login, "--report-dir", str(work), "--relaxed", *tests)

    def findings(sut):
        for category in sut._results:
            for test in category["Tests"]:
                for result in test["Results"]:
                    what = f"{category['Category']}/{test['Name']}"
                    yield result["Result"], what, result["Operation"], result["Message"]

    return code, findings(found.made) if found.made else []


JUDGES = {"service": service, "protocol": protocol, "interop": interop, "use-cases": use_cases}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("judge", choices=JUDGES)
    parser.add_argument("root")
    parser.add_argument("user")
    parser.add_argument("password")
    parser.add_argument("--ca", help="the certificate to trust; without it no certificate is checked")
    parser.add_argument("--auth", default="Session", choices=["Session", "Basic"])
    parser.add_argument("--data", type=pathlib.Path, required=True, help="the folder with DMTF's published files")
    parser.add_argument("--work", type=pathlib.Path, required=True, help="an empty folder for what the validator writes")
    parser.add_argument("--tests", nargs="*", help="which of the use cases; all of them without this")
    parser.add_argument("--profile", help="the file of an interoperability profile")
    arguments = parser.parse_args()
    if arguments.ca:
        check_certificates(arguments.ca)
    os.chdir(arguments.work)

    code, findings = JUDGES[arguments.judge](arguments, arguments.work)
    counts, listed = collections.Counter(), []
    for result, what, where, message in findings:
        counts[result] += 1
        if result != "PASS":
            listed.append({"result": result, "what": what, "where": where, "message": message})
    json.dump({"judge": arguments.judge, "exit": code, "counts": counts, "findings": listed}, sys.stdout)


if __name__ == "__main__":
    main()
