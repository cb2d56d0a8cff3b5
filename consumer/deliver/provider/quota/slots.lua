-- Gives slots back, and takes others. A slot that is not given back is free
-- again when its lease ends by this server's clock.
--
-- KEYS  1: the slots (ZSET: id by the end of its lease in ms)
-- ARGV  1: the most that may be taken in all; 2: the lease in ms; 3: how many
--       are wanted; 4: what their ids begin with; 5: the number of the first;
--       then the ids of those that are given back
-- Returns how many were taken.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for i = 6, #ARGV do redis.call('ZREM', KEYS[1], ARGV[i]) end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now))
local ends = now + ARGV[2]
local free = ARGV[1] - redis.call('ZCARD', KEYS[1])
local taken = math.max(0, math.min(tonumber(ARGV[3]), free))
for i = 0, taken - 1 do
	redis.call('ZADD', KEYS[1], string.format('%.0f', ends), ARGV[4] .. string.format('%.0f', ARGV[5] + i))
end
redis.call('PEXPIRE', KEYS[1], ARGV[2] * 2)
return taken
