"""A small stand-in of the Hugging Face Hub on this machine: repositories, revisions, files, uploads and refusals.

It answers the requests that huggingface_hub makes: creation of a repository and a branch, the check of the card's YAML,
upload (git and LFS) and commit, model info, the tree of files, and the files themselves.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlparse

TOKEN = "hf_secret"
Files = dict[str, bytes]


class Repository:
    """Commits by their hash, and branches."""

    def __init__(self, private: bool = False):
        self.private = private
        self.commits: dict[str, Files] = {}
        self.branches: dict[str, str] = {}
        self.commit("main", {})

    def commit(self, branch: str, files: Files) -> str:
        content = json.dumps([len(self.commits), sorted((k, hashlib.sha256(v).hexdigest()) for k, v in files.items())])
        sha = hashlib.sha1(content.encode()).hexdigest()
        self.commits[sha] = files
        self.branches[branch] = sha
        return sha

    def sha(self, revision: str) -> str | None:
        return self.branches.get(revision) or (revision if revision in self.commits else None)


class Hub(ThreadingHTTPServer):
    """The server; ``repositories`` by name, ``requests`` as (method, path) in the order of their arrival."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.repositories: dict[str, Repository] = {}
        self.large: dict[str, bytes] = {}  # uploaded by LFS
        self.requests: list[tuple[str, str]] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Handler(BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.0"  # a connection ends with its answer, so a stopped server answers nothing

    def log_message(self, *_: object) -> None:
        pass

    def answer(
        self, status: int, value: object = None, headers: dict[str, str] | None = None, body: bytes = b""
    ) -> None:
        content = body if value is None else json.dumps(value).encode()
        self.send_response(status)
        sent = {"Content-Type": "application/json", "Content-Length": str(len(content)), **(headers or {})}
        for key, text in sent.items():
            self.send_header(key, text)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def refuse(self, status: int, code: str) -> None:
        self.answer(status, {"error": code}, {"X-Error-Code": code, "X-Error-Message": code})

    @property
    def login(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {TOKEN}"

    def body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def handle_request(self) -> None:
        path = urlparse(self.path).path
        self.server.requests.append((self.command, path))
        body = self.body()
        for method, pattern, function in ROUTES:
            match = re.fullmatch(pattern, path)
            if match and self.command in method:
                values = {key: unquote(text) for key, text in match.groupdict().items()}
                repository = self.server.repositories.get(values.pop("repo", ""))
                if "repo" in match.groupdict() and (repository is None or (repository.private and not self.login)):
                    return self.refuse(404 if self.login else 401, "RepoNotFound")
                if self.command in ("POST", "PUT") and not self.login and "objects" not in path:
                    return self.refuse(401, "")
                return function(self, repository, body, **values)
        return self.answer(404, {"error": "no such route"})

    do_GET = do_HEAD = do_POST = do_PUT = handle_request

    # --- reading ---------------------------------------------------------------------------------------------------

    def info(self, repository: Repository, body: bytes, revision: str = "main") -> None:
        sha = repository.sha(revision)
        if sha is None:
            return self.refuse(404, "RevisionNotFound")
        siblings = [{"rfilename": name} for name in repository.commits[sha]]
        return self.answer(200, {"id": "x/y", "modelId": "x/y", "sha": sha, "siblings": siblings, "tags": []})

    def tree(self, repository: Repository, body: bytes, revision: str) -> None:
        sha = repository.sha(revision)
        if sha is None:
            return self.refuse(404, "RevisionNotFound")
        files = repository.commits[sha].items()
        rows = [{"type": "file", "path": k, "size": len(v), "oid": hashlib.sha1(v).hexdigest()} for k, v in files]
        return self.answer(200, rows)

    def resolve(self, repository: Repository, body: bytes, revision: str, file: str) -> None:
        sha = repository.sha(revision)
        if sha is None:
            return self.refuse(404, "RevisionNotFound")
        content = repository.commits[sha].get(file)
        if content is None:
            return self.refuse(404, "EntryNotFound")
        headers = {"ETag": f'"{hashlib.sha256(content).hexdigest()}"', "X-Repo-Commit": sha}
        headers |= {"Content-Type": "application/octet-stream", "Content-Length": str(len(content))}
        return self.answer(200, headers=headers, body=content)

    # --- writing ---------------------------------------------------------------------------------------------------

    def create(self, _: None, body: bytes) -> None:
        values = json.loads(body)
        name = f"{values.get('organization') or 'me'}/{values['name']}"
        if name.startswith("closed/"):
            return self.refuse(403, "")
        if name in self.server.repositories:
            return self.answer(409, {"url": f"{self.server.url}/{name}"})
        private = values.get("visibility") == "private" or bool(values.get("private"))
        self.server.repositories[name] = Repository(private)
        return self.answer(200, {"url": f"{self.server.url}/{name}", "name": name})

    def branch(self, repository: Repository, body: bytes, branch: str) -> None:
        if branch in repository.branches:
            return self.refuse(409, "")
        repository.branches[branch] = repository.branches["main"]
        return self.answer(200, {})

    def validate(self, _: None, body: bytes) -> None:
        text = json.loads(body)["content"]
        errors = [] if text.startswith("---\nlicense") or "library_name" in text else [{"message": "no metadata"}]
        return self.answer(200, {"errors": errors, "warnings": []})

    def preupload(self, repository: Repository, body: bytes, revision: str) -> None:
        files = [
            {"path": one["path"], "shouldIgnore": False, "oid": None,
             "uploadMode": "lfs" if one["path"].endswith(".safetensors") else "regular"}
            for one in json.loads(body)["files"]
        ]  # fmt: skip
        return self.answer(200, {"files": files})

    def batch(self, repository: Repository, body: bytes) -> None:
        objects = [
            {"oid": one["oid"], "size": one["size"],
             "actions": {"upload": {"href": f"{self.server.url}/objects/{one['oid']}"}}}
            for one in json.loads(body)["objects"]
        ]  # fmt: skip
        return self.answer(200, {"transfer": "basic", "objects": objects})

    def put(self, _: None, body: bytes, oid: str) -> None:
        if hashlib.sha256(body).hexdigest() != oid:
            return self.refuse(400, "")
        self.server.large[oid] = body
        return self.answer(200, {})

    def commit(self, repository: Repository, body: bytes, revision: str) -> None:
        files = dict(repository.commits[repository.branches[revision]])
        for line in body.splitlines():
            one = json.loads(line)
            value = one["value"]
            if one["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif one["key"] == "lfsFile":
                files[value["path"]] = self.server.large[value["oid"]]
            elif one["key"] == "deletedFile":
                del files[value["path"]]
        pull = "create_pr" in parse_qs(urlparse(self.path).query)
        sha = repository.commit("refs/pr/1" if pull else revision, files)
        url = f"{self.server.url}/me/x"
        return self.answer(
            200, {"commitUrl": f"{url}/commit/{sha}", "commitOid": sha, "pullRequestUrl": f"{url}/discussions/1"}
        )


REPO = r"(?P<repo>[\w.-]+/[\w.-]+)"
REVISION = r"(?P<revision>[^/]+)"
ROUTES = [
    ("POST", r"/api/repos/create", Handler.create),
    ("POST", r"/api/validate-yaml", Handler.validate),
    ("POST", rf"/api/models/{REPO}/branch/(?P<branch>[^/]+)", Handler.branch),
    ("POST", rf"/api/models/{REPO}/preupload/{REVISION}", Handler.preupload),
    ("POST", rf"/api/models/{REPO}/commit/{REVISION}", Handler.commit),
    ("POST", rf"/{REPO}\.git/info/lfs/objects/batch", Handler.batch),
    ("PUT", r"/objects/(?P<oid>\w+)", Handler.put),
    ("GET", rf"/api/models/{REPO}", Handler.info),
    ("GET", rf"/api/models/{REPO}/revision/{REVISION}", Handler.info),
    ("GET", rf"/api/models/{REPO}/tree/{REVISION}", Handler.tree),
    ("GET HEAD", rf"/{REPO}/resolve/{REVISION}/(?P<file>.+)", Handler.resolve),
]
