"""DMTF's `redfish` library against one Redfish service: `redfish_client.py URL USER PASSWORD CERTIFICATE UUID IMAGE_URI`.

Logs in, reads, writes, makes, deletes and follows a task; prints what it saw as one JSON document.
"""

import json
import sys
import time

import redfish
from redfish.rest.v1 import InvalidCredentialsError, SessionCreationError

TASK_LIMIT_S = 60


def follow(client, response):
    """What the monitor of a task answers in the end, and how often it said that the task goes on."""
    monitor, answers = response.task_location, [response.status]
    end = time.monotonic() + TASK_LIMIT_S
    while answers[-1] == 202:
        assert time.monotonic() < end, "the task does not end"
        response = client.get(monitor)
        answers.append(response.status)
        time.sleep(0.05 if answers[-1] == 202 else 0)
    return {"first": answers[0], "last": answers[-1], "body": response.dict}


def refused(url, user, certificate):
    """The kind of error that a wrong password is."""
    client = redfish.redfish_client(base_url=url, username=user, password="wrong", cafile=certificate)
    try:
        client.login(auth="session")
    except (InvalidCredentialsError, SessionCreationError) as error:
        return type(error).__name__
    return None


def main():
    """Does all of it in one session, the certificate checked."""
    url, user, password, certificate, uuid, image = sys.argv[1:]
    client = redfish.redfish_client(base_url=url, username=user, password=password, cafile=certificate, max_retry=3)
    client.login(auth="session")
    sessions = "/redfish/v1/SessionService/Sessions"
    system = f"/redfish/v1/Systems/{uuid}"
    accounts = "/redfish/v1/AccountService/Accounts"
    shown = client.get(system)
    etag = shown.getheader("ETag")
    seen = {"root": client.root["UUID"], "sessions": client.get(sessions).dict["Members@odata.count"]}
    seen["patched"] = client.patch(system, body={"AssetTag": "rack-7"}, headers={"If-Match": etag}).status
    seen["stale"] = client.patch(system, body={"AssetTag": "rack-8"}, headers={"If-Match": etag}).status
    account = {"UserName": "dora", "Password": "Secret-1", "RoleId": "Operator"}
    made = client.post(accounts, body=account)
    seen["made"] = [made.status, made.dict["UserName"]]
    gone = client.post(accounts, body={**account, "UserName": "gone"})
    seen["deleted"] = [client.delete(gone.dict["@odata.id"]).status, client.get(gone.dict["@odata.id"]).status]
    seen["head"] = client.head("/redfish/v1/").status
    update = "/redfish/v1/UpdateService/Actions/UpdateService.SimpleUpdate"
    seen["task"] = follow(client, client.post(update, body={"ImageURI": image}))
    seen["args"] = client.get("/redfish/v1/Systems", args={"$expand": "."}).dict["Members"][0]["AssetTag"]
    bad = client.patch(system, body={"PowerState": "On"})
    seen["bad"] = [bad.status, bad.dict["error"]["@Message.ExtendedInfo"][0]["MessageId"].rsplit(".", 1)[-1]]
    client.logout()
    client.login(auth="basic")
    seen["left"] = client.get(sessions).dict["Members@odata.count"]
    seen["refused"] = refused(url, user, certificate)
    print(json.dumps(seen))


main()
