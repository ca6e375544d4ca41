-- What wrk asks in turn: a page, the app's pool, and a workflow through DBOS's pool. In the end one
-- line of JSON: what was answered by status, what was not, and how long an answer took.

local routes = { "/", "/readyz" }
local worker -- the only one: wrk runs with one thread

answered = {} -- global, since this is how wrk shows a thread's variables to the rest
local turn = 0

function setup(thread)
  worker = thread
end

function init(arguments)
  routes[#routes + 1] = arguments[1]
end

function request()
  turn = turn % #routes + 1
  return wrk.format("GET", routes[turn])
end

function response(status)
  answered[status] = (answered[status] or 0) + 1
end

function done(summary, latency)
  local counts = {}
  for status, count in pairs(worker:get("answered")) do
    counts[#counts + 1] = string.format('"%d": %d', status, count)
  end
  for _, how in ipairs({ "connect", "read", "write", "timeout" }) do
    counts[#counts + 1] = string.format('"%s": %d', how, summary.errors[how])
  end
  io.write(string.format(
    '\n{"answers": {%s}, "p50_ms": %.1f, "p99_ms": %.1f}\n',
    table.concat(counts, ", "), latency:percentile(50) / 1000, latency:percentile(99) / 1000
  ))
end
