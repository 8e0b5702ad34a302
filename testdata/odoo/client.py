"""What a user's browser does: JSON-RPC, pages and the websocket."""

import json
import time

import requests
import websocket

WAIT = 60  # seconds for an answer


class RPCError(Exception):
    """An error that Odoo answered with."""


class Browser:
    """One user's session with one Odoo."""

    def __init__(self, odoo):
        self.odoo = odoo
        self.base = f"http://127.0.0.1:{odoo.http_port}"
        self.http = requests.Session()
        self.http.trust_env = False  # no proxy for 127.0.0.1

    def rpc(self, path, **params):
        body = {"jsonrpc": "2.0", "id": 1, "method": "call", "params": params}
        answer = self.http.post(self.base + path, json=body, timeout=WAIT)
        answer.raise_for_status()
        answer = answer.json()
        if "error" in answer:
            raise RPCError(answer["error"]["data"].get("message") or answer["error"]["message"])
        return answer["result"]

    def log_in(self, database, user="admin"):
        """Logs in; here every user's password is his name."""
        return self.rpc("/web/session/authenticate", db=database, login=user, password=user)

    def call(self, model, method, *args, **kwargs):
        return self.rpc(f"/web/dataset/call_kw/{model}/{method}", model=model, method=method, args=args, kwargs=kwargs)

    def get(self, path):
        answer = self.http.get(self.base + path, timeout=WAIT)
        answer.raise_for_status()
        return answer

    def manage(self, action, files=None, **fields):
        """A form of the database manager. It answers errors with a page, status 200."""
        fields["master_pwd"] = self.odoo.master_password
        answer = self.http.post(f"{self.base}/web/database/{action}", data=fields, files=files, timeout=WAIT,
                                allow_redirects=False)
        answer.raise_for_status()
        return answer

    def service(self, name, method, *args):
        """A call of one of the services that Odoo has for programs."""
        return self.rpc("/jsonrpc", service=name, method=method, args=args)

    def databases(self):
        return self.rpc("/web/database/list")

    def open_bus(self):
        return Bus(self.odoo.gevent_port, self.http.cookies.get("session_id"))


class Bus:
    """The websocket over which Odoo pushes what happens to a user's screen."""

    def __init__(self, port, session_id):
        self.socket = websocket.create_connection(
            f"ws://127.0.0.1:{port}/websocket", timeout=30, cookie=f"session_id={session_id}",
            origin=f"http://127.0.0.1:{port}")
        self.last = 0

    def subscribe(self):
        """Subscribes to the user's own channels, which are the server's to choose."""
        data = {"channels": [], "last": self.last}
        self.socket.send(json.dumps({"event_name": "subscribe", "data": data}))

    def wait_for(self, text, seconds):
        """When a notification holding the text arrived (time.monotonic), or None."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self.socket.settimeout(left)
            try:
                frame = self.socket.recv()
            except websocket.WebSocketTimeoutException:
                return None
            arrived = time.monotonic()
            for notification in json.loads(frame):
                self.last = max(self.last, notification["id"])
            if text in frame:
                return arrived
        return None

    def close(self):
        self.socket.close()
