// engine.io, the transport of Socket.IO: a message from one goes to all. Polling only.
import { createServer } from "node:http";
import { Server } from "engine.io";

const engine = new Server({ transports: ["polling"], allowUpgrades: false, httpCompression: false });
engine.on("connection", (socket) => {
  socket.on("message", (text) => {
    for (const client of Object.values(engine.clients)) client.send(text);
  });
});
// Node would end connections that are idle while the crowd comes in.
const server = createServer({ keepAliveTimeout: 75_000 });
engine.attach(server);
server.listen({ port: 0, host: "127.0.0.1", backlog: 4096 }, () => {
  console.log(`http://127.0.0.1:${server.address().port}`);
});
