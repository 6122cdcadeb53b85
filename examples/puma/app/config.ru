run ->(_env) { [200, { 'content-type' => 'text/plain' }, ["worker #{Process.pid}\n"]] }
