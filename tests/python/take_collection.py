"""Takes one collection out of Ansible's wheel: `take_collection.py FOLDER COLLECTION TARGET`, such as `/tmp/x community.general venv/collections`."""

import pathlib
import sys
import zipfile


def main():
    folder, collection, target = pathlib.Path(sys.argv[1]), sys.argv[2], pathlib.Path(sys.argv[3])
    [wheel] = folder.glob("ansible-*.whl")
    wanted = "ansible_collections/" + collection.replace(".", "/") + "/"
    with zipfile.ZipFile(wheel) as archive:
        members = [name for name in archive.namelist() if name.startswith(wanted)]
        assert members, f"{wheel} has no {collection}"
        archive.extractall(target, members)


if __name__ == "__main__":
    main()
