"""What a tutorial of Flask and gevent arrives at: a queue for each user; a poll waits at it for 10 seconds."""

from gevent import monkey

monkey.patch_all()

from flask import Flask, redirect, request, session  # noqa: E402
from gevent.pywsgi import WSGIServer  # noqa: E402
from gevent.queue import Empty, Queue  # noqa: E402

app = Flask(__name__)
app.secret_key = "bench"
queues = {}


@app.route("/login", methods=["GET", "POST"])
def login():
    if request.method == "GET":
        return '<form method="post"><input name="name"></form>'
    session["user"] = request.form["name"]
    queues[session["user"]] = Queue()
    return redirect("/")


@app.route("/put_post/<user>", methods=["POST"])
def put_post(user):
    for queue in queues.values():
        queue.put(request.form["message"])
    return ""


@app.route("/get_post/<user>")
def get_post(user):
    if session.get("user") != user:
        return "", 403
    try:
        return app.json.response(queues[user].get(timeout=10))
    except Empty:
        return app.json.response("")


server = WSGIServer(("127.0.0.1", 0), app, backlog=4096, log=None)
server.start()
print(f"http://127.0.0.1:{server.server_port}", flush=True)
server.serve_forever()
