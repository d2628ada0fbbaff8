-- What Apache answers when no gateway does. A browser closes an EventSource for good
-- on any status but 200, so it is told, as the gateway would tell it, to come back
-- in 5 to 15 s, at random so that all do not at once. Others see a 503. With pages
-- of another origin (SSE_CORS_ORIGINS) the browser must be allowed to read this
-- answer too: add
--   r.headers_out["Access-Control-Allow-Origin"] = "https://app.example.com"

function handle(r)
    r.headers_out["Cache-Control"] = "no-store"
    if string.find(r.headers_in["Accept"] or "", "text/event-stream", 1, true) then
        r.status = 200
        r.content_type = "text/event-stream; charset=utf-8"
        math.randomseed(r:clock())
        r:puts(string.format("retry: %d\n", math.random(5000, 14999)))
        return apache2.OK
    end
    r.err_headers_out["Retry-After"] = "5"
    r.status = 503
    r.content_type = "text/plain; charset=utf-8"
    r:puts("no gateway answers\n")
    return apache2.OK
end
