"""The rest of sushy, beyond power and boot, against one Redfish service: `sushy_tree.py SCENARIO URL USER PASSWORD [ARGUMENT...]`.

What a scenario prints is one JSON document for the test to compare with what other doors show. What has to be fetched is served here.
"""

import http.server
import json
import logging
import queue
import sys
import threading

import sushy
from sushy_client import Client, failure, wait_until

WAIT_LIMIT_S = 60


def value(of):
    """An enumeration's name on the wire."""
    return getattr(of, "value", of)


class Files:
    """Serves files by their path to whoever asks, and keeps what is posted."""

    def __init__(self, **files):
        self.asked, self.posted = [], queue.Queue()
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self, body=True):
                owner.asked.append(self.path)
                content = files.get(self.path.strip("/").replace(".", "_"))
                self.send_response(404 if content is None else 200)
                self.send_header("Content-Length", str(len(content or b"")))
                self.end_headers()
                if body:
                    self.wfile.write(content or b"")

            def do_HEAD(self):
                self.do_GET(body=False)

            def do_POST(self):
                length = int(self.headers["Content-Length"])
                owner.posted.put(json.loads(self.rfile.read(length)))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def inventory(client):
    """What Ironic's inspection reads."""
    system = client.root.get_system()
    processors = system.processors.get_members()
    simple = system.simple_storage.get_members()
    storage = system.storage.get_members()
    chassis = client.root.get_chassis()
    return {
        "system": [system.name, system.uuid, system.serial_number, system.manufacturer, value(system.system_type)],
        "bios_version": system.bios_version,
        "memory_gib": system.memory_summary.size_gib,
        "threads": system.processors.summary.count,
        "architecture": value(system.processors.summary.architecture),
        "processors": [[found.identity, value(found.processor_type), found.total_threads] for found in processors],
        "macs": sorted(system.ethernet_interfaces.summary),
        "simple_max": system.simple_storage.max_size_bytes,
        "simple_disks": [[device.name, device.capacity_bytes] for one in simple for device in one.devices],
        "drives": [[drive.identity, drive.capacity_bytes, value(drive.media_type)] for one in storage for drive in one.drives],
        "drives_max": system.storage.max_drive_size_bytes,
        "volumes_max": system.storage.max_volume_size_bytes,
        "volumes": [[volume.identity, volume.capacity_bytes] for one in storage for volume in one.volumes.get_members()],
        "controllers": [controller.name for one in storage for controller in one.controllers.get_members()],
        "pcie": [device.identity for device in system.pcie_devices.get_members()],
        "adapters": [adapter.identity for adapter in chassis.network_adapters.get_members()],
        "ports": [port.identity for adapter in chassis.network_adapters.get_members() for port in adapter.ports.get_members()],
        "indicator": value(system.indicator_led),
        "chassis": [value(chassis.chassis_type), chassis.uuid, chassis.manufacturer],
    }


def sensors(client):
    """Thermal and Power in the old style, which Ironic's metrics read."""
    chassis = client.root.get_chassis()
    thermal, power = chassis.thermal, chassis.power
    return {
        "temperatures": {one.name: one.reading_celsius for one in thermal.temperatures},
        "fans": {one.name: one.reading for one in thermal.fans},
        "supplies": [[one.name, one.serial_number, one.power_capacity_watts, one.last_power_output_watts] for one in power.power_supplies],
    }


def chassis(client):
    """The light of the chassis, its reset, its neighbours."""
    one = client.root.get_chassis()
    seen = []
    for state in [sushy.INDICATOR_LED_LIT, sushy.INDICATOR_LED_OFF]:
        one.set_indicator_led(state)
        one.refresh(force=True)
        seen.append(value(one.indicator_led))
    allowed = []
    if one._actions is not None and one._actions.reset is not None:
        allowed = sorted(value(kind) for kind in one.get_allowed_reset_chassis_values())
    return {"light": seen, "reset": allowed, "managers": len(one.managers), "systems": len(one.systems)}


def manager(client):
    """Clock, consoles, network and reset of the BMC."""
    one = client.root.get_manager()
    before = one.firmware_version
    one.set_datetime(datetime_local_offset="+02:00")
    one.refresh(force=True)
    shown = [one.datetimelocaloffset, one.datetime]
    one.set_datetime(datetime_local_offset="+00:00")
    one.refresh(force=True)
    consoles = {
        "graphical": sorted(map(value, one.get_supported_graphical_console_types())) if one.graphical_console else [],
        "serial": sorted(map(value, one.get_supported_serial_console_types())) if one.serial_console else [],
        "shell": sorted(map(value, one.get_supported_command_shell_types())) if one.command_shell else [],
    }
    reset = sorted(value(kind) for kind in one.get_allowed_reset_manager_values())
    one.reset_manager(sushy.ResetType(reset[0]))

    def is_back():
        try:
            return Client(*sys.argv[2:5]).root.get_manager().firmware_version == before
        except sushy.exceptions.SushyError:
            return False

    wait_until("the BMC is back", is_back)
    return {
        "offset": shown[0],
        "datetime": shown[1],
        "consoles": consoles,
        "reset": reset,
        "macs": sorted(one.ethernet_interfaces.summary),
        "type": value(one.manager_type),
        "media": len(one.virtual_media.get_members()) if "VirtualMedia" in one.json else 0,
    }


def bios(client):
    """Attributes now and after the next boot."""
    system = client.root.get_system()
    one = system.bios
    registry = one.get_attribute_registry()
    known = {entry.name: entry for entry in registry.registry_entries.attributes}
    # One that depends on no other, and is as it came.
    free = [entry for entry in known.values() if not entry.read_only and value(entry.attribute_type) == "Enumeration"]
    chosen = next(entry for entry in free if entry.default_value == one.attributes.get(entry.name, ""))
    before = one.attributes[chosen.name]
    after = next(choice["ValueName"] for choice in chosen.allowable_values if choice["ValueName"] != before)
    one.set_attribute(chosen.name, after)
    pending = client.root.get_system().bios.pending_attributes[chosen.name]
    now = client.root.get_system().bios.attributes[chosen.name]
    system.reset_system(sushy.ResetType.FORCE_ON)
    wait_until("the attribute is applied", lambda: client.root.get_system().bios.attributes[chosen.name] == after)
    client.root.get_system().bios.reset_bios()
    system.reset_system(sushy.ResetType.FORCE_RESTART)
    wait_until("the defaults are back", lambda: client.root.get_system().bios.attributes[chosen.name] == before)
    unknown = failure(lambda: one.set_attribute("NoSuchAttribute", "x"))
    return {
        "attributes": sorted(one.attributes),
        "known": sorted(known),
        "changed": [chosen.name, before, after],
        "now": now == before,
        "pending": pending == after,
        "supported": sorted(map(value, one.supported_apply_times or [])),
        "unknown": unknown,
    }


def secure_boot(client):
    """Switched on and off, and its keys reset, which takes UEFI."""
    system = client.root.get_system()
    system.set_system_boot_options(mode=sushy.BootSourceOverrideMode.UEFI)
    one = system.secure_boot
    seen = [[one.enabled, value(one.current_boot), value(one.mode)]]
    one.set_enabled(not one.enabled)
    one.refresh(force=True)
    seen.append([one.enabled, value(one.current_boot), value(one.mode)])
    kinds = sorted(value(kind) for kind in one.get_allowed_reset_keys_values())
    for kind in kinds:
        one.reset_keys(sushy.SecureBootResetKeysType(kind))
    databases = {}
    for database in one.databases.get_members() if "SecureBootDatabases" in one.json else []:
        resets = database.get_allowed_reset_keys_values
        # Those of the firmware's defaults are for reading.
        fixed = database.database_id.value.endswith("Default")
        databases[database.database_id.value] = failure(resets) if fixed else sorted(value(kind) for kind in resets())
    return {"seen": seen, "reset_keys": kinds, "databases": databases}


def virtual_media(client):
    """Insert by URL and eject, twice each, on every drive for removable media."""
    files = Files(image_iso=b"\0" * 65536)
    done = []
    for media in client.root.get_system().virtual_media.get_members():
        kinds = sorted(map(value, media.media_types))
        before = [media.inserted, media.image]
        media.insert_media(files.url + "/image.iso")
        media.refresh(force=True)
        during = [media.inserted, (media.image or "").rsplit("/", 1)[-1], value(media.connected_via), media.write_protected]
        media.eject_media()
        media.refresh(force=True)
        after = [media.inserted, media.image or None]
        media.eject_media()
        media.set_verify_certificate(False)
        media.refresh(force=True)
        verify = media.verify_certificate
        missing = failure(lambda: media.insert_media(files.url + "/missing.iso"))
        done.append({
            "kinds": kinds, "before": before, "during": during, "after": after, "verify": verify, "missing": missing,
            "certificates": len(media.certificates.get_members()) if "Certificates" in media.json else None,
        })
    return {"drives": done, "asked": sorted(set(files.asked))}


def media_inserted(client, target):
    """Inserts an image and leaves it there, to be booted from."""
    files = Files(image_iso=b"\0" * 65536)
    for media in client.root.get_system().virtual_media.get_members():
        if target in map(value, media.media_types):
            media.insert_media(files.url + "/image.iso")
            media.refresh(force=True)
            return [media.inserted, media.image_name]
    raise AssertionError(f"no drive for a {target}")


def registries(client):
    """The message registries, as they are loaded without the internet, and what was warned of."""
    warned = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: warned.append(record.getMessage())
    logging.getLogger("sushy").addHandler(handler)
    loaded = client.root.lazy_registries
    keys = {name: sorted(loaded[name].messages) for name in list(loaded) if hasattr(loaded[name], "messages")}
    return {"warned": warned, "loaded": keys}


def update(client):
    """SimpleUpdate of what can be updated: the version changes when the task is done."""
    files = Files(**{"bios-9_1_bin": b"\x7fELF" + b"\0" * 4096})
    service = client.root.get_update_service()
    inventory = {one.identity: [one.version, one.updateable] for one in service.firmware_inventory.get_members()}
    protocols = sorted(map(value, service.get_allowed_transfer_protocols()))
    monitor = service.simple_update(files.url + "/bios-9.1.bin")
    states = []
    if monitor.check_is_processing:
        monitor.wait(WAIT_LIMIT_S)
    task = monitor.get_task()
    states.append([value(task.task_state), value(task.task_status), task.percent_complete])
    after = {one.identity: one.version for one in client.root.get_update_service().firmware_inventory.get_members()}
    tasks = client.root.get_task_service().tasks
    summary = sorted({value(state) for state in tasks.summary.values()})
    task.parse_messages()
    return {
        "before": inventory,
        "after": after,
        "protocols": protocols,
        "states": states,
        "tasks": summary,
        "messages": [message.message for message in task.messages],
        "asked": files.asked,
    }


def sessions(client):
    service = client.root.get_session_service()
    key, uri = service.create_session(client.auth._username, client.auth._password)
    listed = {one.path for one in service.sessions.get_members()}
    session = client.root.get_session(uri[uri.index("/redfish"):])
    seen = [session.username, session.path in listed, bool(key)]
    service.close_session(session.path)
    gone = failure(lambda: client.root.get_session(session.path))
    return {"seen": seen, "timeout": service.session_timeout, "enabled": service.service_enabled, "gone": gone["class"]}


def events(client):
    """A subscription, a test event that comes, and no subscription any more."""
    files = Files()
    service = client.root.get_event_service()
    kinds = sorted(map(value, service.get_event_types_for_subscription()))
    wanted = {"Destination": files.url + "/events", "Protocol": "Redfish", "Context": "ours", "EventFormatType": "Event"}
    destination = service.subscriptions.create(wanted)
    listed = [one.path for one in service.subscriptions.get_members()]
    service.submit_test_event("17", "2026-01-02T03:04:05Z", "Alert", "a test", ["one"], "Base.1.0.Success", "/redfish/v1", "OK")
    # What the service says of its own resources comes too.
    posted = None
    while posted is None:
        event = files.posted.get(timeout=WAIT_LIMIT_S)
        if any(record.get("EventId") == "17" for record in event["Events"]):
            posted = event
    seen = [destination.context, value(destination.event_format_type) if hasattr(destination, "event_format_type") else "Event"]
    destination.delete()
    left = [one.path for one in client.root.get_event_service().subscriptions.get_members()]
    return {
        "kinds": kinds,
        "listed": destination.path in listed,
        "left": destination.path in left,
        "context": posted["Context"],
        "records": [[record["EventId"], record["MessageId"]] for record in posted["Events"]],
        "seen": seen,
    }


def storage(client):
    """A volume made and deleted."""
    raid = lambda: next(found for found in client.root.get_system().storage.get_members() if found.identity == "RAID")
    one = raid()
    before = {volume.path for volume in one.volumes.get_members()}
    drives = [{"@odata.id": drive.path} for drive in one.drives][:1]
    payload = {"RAIDType": "RAID0", "Links": {"Drives": drives}, "CapacityBytes": 1 << 30, "DisplayName": "scratch"}
    made = one.volumes.create(payload)
    if hasattr(made, "wait"):
        made.wait(WAIT_LIMIT_S)
    new = [volume for volume in raid().volumes.get_members() if volume.path not in before]
    shown = [[value(volume.raid_type), volume.capacity_bytes] for volume in new]
    for volume in new:
        gone = volume.delete()
        if hasattr(gone, "wait"):
            gone.wait(WAIT_LIMIT_S)
    after = {volume.path for volume in raid().volumes.get_members()}
    return {"made": shown, "as_before": after == before}


def certificates(client):
    service = client.root.get_certificate_service()
    locations = service.certificate_locations
    found = [one for one in locations.get_members()]
    return {"found": [[one.identity, value(one.certificate_type), one.certificate_string[:27]] for one in found]}


def main():
    scenario, url, user, password, *arguments = sys.argv[1:]
    scenarios = [
        inventory, sensors, chassis, manager, bios, secure_boot, virtual_media, media_inserted, registries, update, sessions, events,
        storage, certificates,
    ]
    run = {function.__name__: function for function in scenarios}[scenario]
    json.dump(run(Client(url, user, password), *arguments), sys.stdout)


if __name__ == "__main__":
    main()
