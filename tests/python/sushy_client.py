"""What sushy does for Ironic, against one Redfish service: `sushy_client.py SCENARIO URL USER PASSWORD [ARGUMENT...]`.

A scenario fails by an exception or prints what it saw as one JSON document, for the test to compare with what the daemon says.
"""

import json
import sys
import time

import sushy
from sushy import auth as sushy_auth
from sushy import connector as sushy_connector
from sushy import exceptions

WAIT_LIMIT_S = 60
LOOK_EVERY_S = 0.02

KINDS = {
    "session": sushy_auth.SessionAuth,
    "basic": sushy_auth.BasicAuth,
    # What Ironic calls `auto`: a session, and Basic where there are none.
    "auto": sushy_auth.SessionOrBasicAuth,
}


class Client:
    """A logged-in sushy that notes every answer as `(method, path, status)`."""

    def __init__(self, url, user, password, kind="session"):
        self.answers = []
        self.auth = KINDS[kind](user, password)
        connector = sushy_connector.Connector(url, verify=False, response_callback=self._note)
        self.root = sushy.Sushy(url, auth=self.auth, connector=connector)
        self.conn = self.root._conn

    def _note(self, response):
        request = response.request
        self.answers.append((request.method, request.path_url, response.status_code))

    def sessions(self):
        return [member.path for member in self.root.get_session_service().sessions.get_members()]

    def statuses(self, method):
        return [status for used, _, status in self.answers if used == method]


def wait_until(what, look):
    end = time.monotonic() + WAIT_LIMIT_S
    while not look():
        assert time.monotonic() < end, f"waited {WAIT_LIMIT_S} s in vain until {what}"
        time.sleep(LOOK_EVERY_S)


def wait_power(system, wanted):
    def look():
        system.refresh(force=True)
        return system.power_state.value == wanted

    wait_until(f"the power is {wanted}", look)


def boot_of(system):
    system.refresh(force=True)
    boot = system.boot
    return {
        "target": boot.target.value,
        "enabled": boot.enabled.value,
        "mode": boot.mode.value,
        "uri": boot.http_boot_uri,
    }


def failure(call):
    """The class and the message id of the exception that `call` has to end with."""
    try:
        call()
    except exceptions.HTTPError as error:
        ids = [entry["MessageId"].rsplit(".", 1)[-1] for entry in error.extended_info or []]
        return {"class": type(error).__name__, "status": error.status_code, "messages": ids}
    except exceptions.SushyError as error:
        return {"class": type(error).__name__}
    raise AssertionError("this should have failed")


def login(url, user, password, kind):
    """Log in, look around, log out."""
    client = Client(url, user, password, kind)
    token = "X-Auth-Token" in client.conn._session.headers
    system = client.root.get_system()
    during = client.sessions()
    own = getattr(client.auth, "get_session_resource_id", lambda: None)()
    client.auth.close()
    after = Client(url, user, password, "basic").sessions()
    return {
        "token": token,
        "own_is_listed": own is not None and any(own.endswith(path) for path in during),
        "during": len(during),
        "after": len(after),
        "uuid": system.uuid,
        "manager": client_manager(url, user, password),
    }


def client_manager(url, user, password):
    root = Client(url, user, password, "basic").root
    manager, chassis, system = root.get_manager(), root.get_chassis(), root.get_system()
    assert [found.uuid for found in manager.systems] == [system.uuid]
    assert [found.identity for found in system.managers] == [manager.identity]
    assert [found.identity for found in system.chassis] == [chassis.identity]
    return manager.identity


def wrong_password(url, user, password, kind):
    """No session, no fallback that gets in: sushy's own class of error."""

    def attempt():
        Client(url, user, password, kind).root.get_system()

    return failure(attempt)


def session_lost(url, user, password):
    """A session that somebody else closes is opened again under way."""
    client = Client(url, user, password, "session")
    first = client.auth.get_session_resource_id()
    Client(url, user, password, "basic").conn.delete(first)
    client.root.get_system()
    second = client.auth.get_session_resource_id()
    refused = [path for method, path, status in client.answers if status == 401]
    client.auth.close()
    left = Client(url, user, password, "basic").sessions()
    return {"other": first != second, "refused": len(refused), "left": len(left)}


def power(url, user, password):
    """Every power action, one after the other, each waited for."""
    system = Client(url, user, password).root.get_system()
    steps = [
        ("On", "On"),
        ("ForceOn", "On"),
        ("ForceRestart", "On"),
        ("Nmi", "On"),
        ("PowerCycle", "On"),
        ("GracefulRestart", "On"),
        ("GracefulShutdown", "Off"),
        ("ForceOff", "Off"),
        ("PushPowerButton", "On"),
        ("PushPowerButton", "Off"),
        ("ForceOn", "On"),
        ("ForceOff", "Off"),
    ]
    offered = {value.value for value in system.get_allowed_reset_system_values()}
    assert offered == {action for action, _ in steps}, offered
    for action, wanted in steps:
        system.reset_system(sushy.ResetType(action))
        if action == "GracefulRestart":
            # While it goes down it still counts as on.
            wait_power(system, "PoweringOn")
        wait_power(system, wanted)
    return [action for action, _ in steps]


def power_one(url, user, password, action, wanted):
    system = Client(url, user, password).root.get_system()
    system.reset_system(sushy.ResetType(action))
    wait_power(system, wanted)


def boot(url, user, password):
    """Every target, once and continuous, in both modes; returns what was set, in order."""
    client = Client(url, user, password)
    system = client.root.get_system()
    done = []
    for mode in ["Legacy", "UEFI"]:
        system.set_system_boot_options(mode=sushy.BootSourceOverrideMode(mode))
        system.refresh(force=True)
        assert system.boot.mode.value == mode
        # What UefiBootNext means is in another property, which sushy does not write.
        allowed = {value.value for value in system.get_allowed_system_boot_source_values()}
        targets = sorted(allowed - {"UefiBootNext"})
        assert ("UefiHttp" in targets) == (mode == "UEFI"), targets
        for target in targets:
            for enabled in ["Once", "Continuous"]:
                uri = "http://192.0.2.7/boot.efi" if target == "UefiHttp" else None
                system.set_system_boot_options(
                    sushy.BootSource(target), sushy.BootSourceOverrideEnabled(enabled), http_boot_uri=uri
                )
                seen = boot_of(system)
                if target == "None":
                    assert (seen["target"], seen["enabled"]) == ("None", "Disabled"), seen
                else:
                    assert seen == {"target": target, "enabled": enabled, "mode": mode, "uri": uri}, seen
                done.append([mode, target, enabled])
    system.set_system_boot_options(enabled=sushy.BootSourceOverrideEnabled.DISABLED)
    seen = boot_of(system)
    assert (seen["target"], seen["enabled"]) == ("None", "Disabled"), seen
    return done


def boot_get(url, user, password):
    return boot_of(Client(url, user, password).root.get_system())


def boot_set(url, user, password, target, enabled):
    system = Client(url, user, password).root.get_system()
    system.set_system_boot_options(sushy.BootSource(target), sushy.BootSourceOverrideEnabled(enabled))
    return boot_of(system)


def etags(url, user, password):
    """The tag of the header is that of the body; a present one is taken, an old one refused; sushy's `patch` goes on without."""
    client, other = Client(url, user, password), Client(url, user, password)
    system = client.root.get_system()
    header, body = system._get_headers()["ETag"], system.json["@odata.etag"]
    pxe, once = sushy.BootSource.PXE, sushy.BootSourceOverrideEnabled.ONCE
    other.root.get_system().set_system_boot_options(sushy.BootSource.CD, once)
    client.conn.patch(system.path, data={"Boot": {"BootSourceOverrideTarget": "Usb"}}, etag=header)
    with_old = client.statuses("PATCH")
    del client.answers[:]
    # A change of sushy's own reads the tag anew and sends it.
    system.set_system_boot_options(pxe, once)
    with_present = client.statuses("PATCH")
    present = client.conn.get(system.path).headers["ETag"]
    refused = failure(
        lambda: client.conn._op(
            "PATCH", system.path, data={"AssetTag": "never"}, headers={"If-Match": header}
        )
    )
    return {
        "same": header == body,
        "strong": present.startswith('"'),
        "moved": present != header,
        "with_old": with_old,
        "with_present": with_present,
        "refused": refused,
        "unchanged": client.conn.get(system.path, headers={"If-None-Match": present}).status_code,
        "asset_tag": client.conn.get(system.path).json()["AssetTag"],
    }


def errors(url, user, password):
    """What sushy makes of refusals."""
    client = Client(url, user, password)
    system = client.root.get_system()
    path, reset = system.path, system._actions.reset.target_uri
    post = lambda data: lambda: client.conn.post(reset, data=data)
    patch = lambda data: lambda: client.conn.patch(path, data=data)
    calls = {
        "unknown system": lambda: client.root.get_system("/redfish/v1/Systems/nobody"),
        "unknown path": lambda: client.conn.get("/redfish/v1/Nowhere"),
        "unknown reset type": post({"ResetType": "Explode"}),
        "no reset type": post({}),
        "reset type of a wrong type": post({"ResetType": 7}),
        "unknown parameter": post({"ResetType": "On", "Force": True}),
        "off and reset": post({"ResetType": "ForceRestart"}),
        "unknown property": patch({"Colour": "red"}),
        "read-only property": patch({"UUID": "0"}),
        "unknown target": patch({"Boot": {"BootSourceOverrideTarget": "Floppy9"}}),
        "target of a wrong type": patch({"Boot": {"BootSourceOverrideTarget": ["Pxe"]}}),
        "boot of a wrong type": patch({"Boot": "Pxe"}),
        "nothing": patch({}),
        "not a method": lambda: client.conn.delete(path),
        "refused by sushy": lambda: system.reset_system("Explode"),
    }
    return {name: failure(call) for name, call in calls.items()}


def identify(url, user, password):
    """The light, by the property that Ironic drives."""
    system = Client(url, user, password).root.get_system()
    seen = []
    for state in [sushy.INDICATOR_LED_LIT, sushy.INDICATOR_LED_OFF]:
        system.set_indicator_led(state)
        system.refresh(force=True)
        seen.append(system.indicator_led.value)
    return seen


def aggregate(url, user, password, *ids):
    """Every System of the root over all BMCs, each by the ids given."""
    client = Client(url, user, password, "auto")
    found = {system.name: system.uuid for system in client.root.get_system_collection().get_members()}
    by_id = {name: client.root.get_system(f"/redfish/v1/Systems/{name}").uuid for name in ids}
    ambiguous = failure(client.root.get_system)
    managers = len(client.root.get_manager_collection().get_members())
    chassis = len(client.root.get_chassis_collection().get_members())
    return {"systems": found, "by_id": by_id, "ambiguous": ambiguous, "managers": managers, "chassis": chassis}


def main():
    scenario, *arguments = sys.argv[1:]
    scenarios = [
        login, wrong_password, session_lost, power, power_one, boot, boot_get, boot_set, etags, errors, identify, aggregate,
    ]
    run = {function.__name__: function for function in scenarios}[scenario]
    json.dump(run(*arguments), sys.stdout)


if __name__ == "__main__":
    main()
