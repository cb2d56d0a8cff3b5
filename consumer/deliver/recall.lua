-- Says since when this server has claims.
--
-- KEYS  the times (STRING: Unix milliseconds), on a cluster one on each server
-- ARGV  1: 1 where some claims are known to be lost
-- Returns for each key the time, which is now where there was none or some are lost.
local answers = {}
for i, key in ipairs(KEYS) do
	local at = redis.pcall('GET', key)
	if type(at) ~= 'string' or not tonumber(at) or ARGV[1] == '1' then
		local time = redis.call('TIME')
		at = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
		redis.call('SET', key, at)
	end
	answers[i] = at
end
return answers
