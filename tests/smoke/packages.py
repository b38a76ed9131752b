"""Tiny packages, made on the spot, for tests that add some to a lab: files by their names."""

import io
import tarfile
import zipfile


def wheel(name: str, version: str, needs: str = "") -> dict[str, bytes]:
    """Return a wheel of one module, which prints whose it is when it is run."""
    buffer = io.BytesIO()
    info = f"{name}-{version}.dist-info"
    wants = f"Requires-Dist: {needs}\n" if needs else ""
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(f"{name}.py", 'print("Python\'s")\n')
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{wants}")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return {f"{name}-{version}-py3-none-any.whl": buffer.getvalue()}


def r_source(name: str, version: str, needs: str = "") -> dict[str, bytes]:
    """Return the source of an R package with one function, ``whose``."""
    wants = f"Imports: {needs}\n" if needs else ""
    description = f"Package: {name}\nVersion: {version}\nTitle: Made for a Test\nRepository: CRAN\n{wants}"
    return {
        f"{name}/DESCRIPTION": description.encode(),
        f"{name}/NAMESPACE": b"export(whose)\n",
        f"{name}/R/{name}.R": b'whose <- function() "R\'s"\n',
    }


def r_repository(*sources: dict[str, bytes]) -> dict[str, bytes]:
    """Return a repository like CRAN with source packages, each with the dependencies that its DESCRIPTION has."""
    files: dict[str, bytes] = {}
    index = b""
    for source in sources:
        name = next(iter(source)).partition("/")[0]
        description = source[f"{name}/DESCRIPTION"]
        version = dict(line.split(": ") for line in description.decode().splitlines())["Version"]
        files[f"src/contrib/{name}_{version}.tar.gz"] = _packed(source)
        index += description + b"\n"
    return {**files, "src/contrib/PACKAGES": index}


def _packed(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), 0o644
            archive.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()
