"""The idea of Tornado's chat demo: the newest 200 messages, a cursor, a condition that polls wait on."""

import socket
import uuid

from tornado import httpserver, ioloop, locks, netutil, web

said = []
news = locks.Condition()


def since(cursor):
    newer = []
    for message in reversed(said):
        if message["id"] == cursor:
            break
        newer.append(message)
    return newer[::-1]


class New(web.RequestHandler):
    def post(self):
        message = {"id": str(uuid.uuid4()), "body": self.get_argument("body")}
        said.append(message)
        del said[:-200]
        self.write(message)
        news.notify_all()


class Updates(web.RequestHandler):
    async def post(self):
        cursor = self.get_argument("cursor", None)
        messages = since(cursor)
        while not messages:
            self.wait = news.wait()
            await self.wait
            messages = since(cursor)
        if not self.request.connection.stream.closed():
            self.write({"messages": messages})

    def on_connection_close(self):
        self.wait.cancel()


server = httpserver.HTTPServer(web.Application([("/a/message/new", New), ("/a/message/updates", Updates)]))
sockets = netutil.bind_sockets(0, "127.0.0.1", family=socket.AF_INET, backlog=4096)
server.add_sockets(sockets)
print(f"http://127.0.0.1:{sockets[0].getsockname()[1]}", flush=True)
ioloop.IOLoop.current().start()
