-- Lets jobs pass that do not exceed their recipients' caps, and counts them, by
-- this server's clock. A job that was let pass before is so again, and counts
-- once.
--
-- KEYS  the recipients' jobs within the window (ZSET: job by Unix milliseconds)
-- ARGV  for each key the job, the most jobs in a window, and the window in ms
-- Returns for each key 1 if the job may pass, else 0.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local answers = {}
for i, key in ipairs(KEYS) do
	local job, most, window = ARGV[3 * i - 2], tonumber(ARGV[3 * i - 1]), tonumber(ARGV[3 * i])
	local gone = redis.pcall('ZREMRANGEBYSCORE', key, '-inf', string.format('%.0f', now - window))
	if type(gone) == 'table' then
		if not string.find(gone.err, 'WRONGTYPE', 1, true) then return gone end
		answers[i] = 1
	elseif redis.call('ZSCORE', key, job) then
		answers[i] = 1
	elseif redis.call('ZCARD', key) < most then
		redis.call('ZADD', key, string.format('%.0f', now), job)
		redis.call('PEXPIRE', key, ARGV[3 * i])
		answers[i] = 1
	else
		answers[i] = 0
	end
end
return answers
