// Answers every request with its process and user. Goes to /home/node/apps/node-upstart.js.
const http = require('http');
const port = Number(process.env.PORT || 8124);

http.createServer((request, response) => {
  console.log(`${request.method} ${request.url}`);
  response.end(`process ${process.pid}, user ${process.getuid()}\n`);
}).listen(port, '127.0.0.1', () => console.log(`process ${process.pid} listens on port ${port}`));
