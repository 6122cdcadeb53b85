// The demonstration's web service: one page, read anew for every request.
const fs = require('fs');
const http = require('http');

const { PAGE, DEMO_PORT } = process.env;

const server = http.createServer((request, response) => {
  console.log(`${request.method} ${request.url}`);
  response.setHeader('Content-Type', 'text/plain');
  response.end(`${fs.readFileSync(PAGE)}Served by process ${process.pid}.\n`);
});

server.listen(Number(DEMO_PORT), '127.0.0.1', () => {
  console.log(`node ${process.version} listens on port ${DEMO_PORT}`);
});
