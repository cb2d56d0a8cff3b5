-- Takes tokens from a bucket that fills at a steady rate by this server's clock.
--
-- KEYS  1: the bucket (HASH: level, at in ms)
-- ARGV  1: tokens a second; 2: the most that the bucket holds; 3: how many must
--       be left in it; 4: how many are wanted
-- Returns how many were taken and, if none were, after how many ms one can be.
local rate, most, left, want = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local was = redis.call('HMGET', KEYS[1], 'level', 'at')
local level, at = tonumber(was[1]), tonumber(was[2])
if not level or not at then level, at = most, now end
level = math.min(most, level + math.max(0, now - at) * rate / 1000)
local taken = math.min(want, math.floor(level - left))
local wait = 0
if taken < 1 then
	taken = 0
	wait = math.ceil((left + 1 - level) * 1000 / rate)
end
redis.call('HSET', KEYS[1], 'level', string.format('%.3f', level - taken), 'at', string.format('%.3f', now))
redis.call('PEXPIRE', KEYS[1], math.ceil(most * 1000 / rate) + 60000)
return {taken, wait}
