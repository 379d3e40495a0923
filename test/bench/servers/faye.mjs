// Faye, publish and subscribe by the Bayeux protocol, as its documentation begins.
import { createServer } from "node:http";
import faye from "faye";

const bayeux = new faye.NodeAdapter({ mount: "/faye", timeout: 25 });
// Node would end connections that are idle while the crowd comes in.
const server = createServer({ keepAliveTimeout: 75_000 });
bayeux.attach(server);
server.listen({ port: 0, host: "127.0.0.1", backlog: 4096 }, () => {
  console.log(`http://127.0.0.1:${server.address().port}`);
});
