-- GCRA for one request against several limits at once: it is counted against all of them, or if one refuses against none.
--
-- KEYS: a bucket each. ARGV: for each, the microseconds between requests at its rate, and its burst.
-- A bucket's value is the time at which it is full again, microseconds of this server's clock; no value is a full bucket.
-- Answers 1 or 0, and for each bucket in how many microseconds it is full.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local values = redis.call('MGET', unpack(KEYS))
local full_at, allowed = {}, 1
for i = 1, #KEYS do
    local interval = tonumber(ARGV[2 * i - 1])
    local refill = interval * tonumber(ARGV[2 * i])
    local at = math.max(tonumber(values[i] or now), now)
    -- More than a whole burst was owed under a slower limit, or by another server's clock.
    at = math.min(at, now + refill)
    if at + interval > now + refill then
        allowed = 0
    end
    full_at[i] = at
end
local answer = { allowed }
for i, key in ipairs(KEYS) do
    if allowed == 1 then
        full_at[i] = full_at[i] + tonumber(ARGV[2 * i - 1])
        redis.call('SET', key, string.format('%.0f', full_at[i]), 'PX', math.ceil((full_at[i] - now) / 1000))
    end
    answer[i + 1] = full_at[i] - now
end
return answer
