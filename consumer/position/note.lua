-- Notes up to which offsets Redis has what a consumer group writes there.
--
-- KEYS  the group's positions (HASH): on a cluster one on each server
-- ARGV  1: 1 for the first time in a generation, when a position may go back; then
--       for each partition its name, the position that Redis must have, or -1, and
--       the one that it is to have
-- Returns for each key a list: for each partition -2, or, where Redis has less than
-- it must, what it has, or -1 for nothing; there nothing is noted.
local answers = {}
for k, key in ipairs(KEYS) do
	local answer = {}
	for i = 2, #ARGV, 3 do
		local has = tonumber(redis.call('HGET', key, ARGV[i])) or -1
		local must, to = tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2])
		local lost = has < must
		if not lost and (to > has or ARGV[1] == '1' and to >= 0 and to < has) then
			redis.call('HSET', key, ARGV[i], ARGV[i + 2])
		end
		answer[#answer + 1] = lost and has or -2
	end
	answers[k] = answer
end
return answers
