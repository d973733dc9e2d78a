-- wrk's side of a measurement. Arguments: how many requests one write carries.
-- wrk parses the batch once and sends it as it is, so this costs it nothing per request.

function init(args)
   local batch = wrk.format():rep(tonumber(args[1]))
   wrk.format = function() return batch end
end

-- One line for the driver; durations in µs.
function done(summary, latency)
   local e = summary.errors
   print(string.format(
      "measured requests=%d duration=%d p50=%d p99=%d connect=%d read=%d write=%d status=%d timeout=%d",
      summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
      e.connect, e.read, e.write, e.status, e.timeout))
end
