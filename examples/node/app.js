// Answers every request with its process and user. Goes to /srv/node/app.js.
const http = require('http');
const port = Number(process.env.PORT);

const server = http.createServer((request, response) => {
  console.log(`${request.method} ${request.url}`);
  response.end(`process ${process.pid}, user ${process.getuid()}\n`);
});
server.listen(port, '127.0.0.1', () => console.log(`process ${process.pid} listens on port ${port}`));

process.on('SIGHUP', () => console.log('reads its configuration again'));
process.on('SIGTERM', () => {
  console.log('ends in order');
  server.close(() => process.exit(0));
  server.closeAllConnections();
});
