"""Calls of pyghmi's client, one after the other in one session, their answers as a list in JSON.

    pyghmi_client.py HOST PORT USER PASSWORD CALL...

A call is a name and its arguments in one word, such as "set_bootdev network persist". An exception of pyghmi becomes
{"error": "...", "kind": "..."}; when it is the login that fails, it stands for all the calls.
"""

import json
import sys

from pyghmi import exceptions
from pyghmi.ipmi import command


def call(client, name, *arguments):
    """What the named call answers."""
    if name == "get_power":
        return client.get_power()
    if name == "set_power":
        return client.set_power(arguments[0])
    if name == "get_bootdev":
        return client.get_bootdev()
    if name == "set_bootdev":
        return client.set_bootdev(arguments[0], persist="persist" in arguments, uefiboot="uefi" in arguments)
    if name == "guid":
        data = client.xraw_command(netfn=6, command=0x37)["data"]
        return bytes(bytearray(data)).hex()
    if name == "identify":
        return client.set_identify(on=arguments[0] == "on")
    if name == "channel_info":
        return client.get_channel_info(1)
    if name == "channel_access":
        return client.get_channel_access(1)
    if name == "inventory":
        return client.get_inventory_of_component("System")
    if name == "dcmi_power":
        data = client.raw_command(netfn=0x2C, command=2, data=[0xDC, 1, 0, 0])["data"]
        return data[1] | data[2] << 8
    if name == "get_sensor_data":
        readings = client.get_sensor_data()
        return [{"name": one.name, "value": one.value, "type": one.type, "states": one.states} for one in readings]
    if name == "event_log":
        return list(client.get_event_log())
    if name == "raw":
        netfn, number, *data = (int(argument, 0) for argument in arguments)
        answer = client.raw_command(netfn=netfn, command=number, data=data)
        return {"code": answer["code"], "data": list(bytearray(answer["data"]))}
    raise SystemExit(f"no call {name}")


def attempt(act):
    """What `act` returns, or what pyghmi raises."""
    try:
        return act()
    except exceptions.PyghmiException as error:
        return {"error": str(error), "kind": type(error).__name__}


def main():
    """Logs in, makes the calls and prints what came of them."""
    host, port, user, password, *calls = sys.argv[1:]
    client = attempt(lambda: command.Command(bmc=host, port=int(port), userid=user, password=password))
    if isinstance(client, dict):
        answers = [client for _ in calls]
    else:
        answers = [attempt(lambda words=words: call(client, *words.split())) for words in calls]
        client.ipmi_session.logout()
    print(json.dumps(answers))


main()
