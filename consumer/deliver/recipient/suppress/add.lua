-- Suppresses addresses. What is there already and ends later, or at the same
-- time, stays: no bounce of a week may take the place of a refusal for good.
--
-- KEYS  the suppressions (STRING)
-- ARGV  for each key the Unix milliseconds at which it ends, 0 for never, and
--       the value, which starts with the same and a tab
-- Returns for each key 1 if it was written, else 0.
local answers = {}
for i, key in ipairs(KEYS) do
	local ends, value = ARGV[2 * i - 1], ARGV[2 * i]
	local was = redis.pcall('GET', key)
	local last
	if type(was) == 'string' then
		last = string.match(was, '^(%d+)\t')
	elseif type(was) == 'table' and not string.find(was.err, 'WRONGTYPE', 1, true) then
		return was
	end
	if last and (last == '0' or (ends ~= '0' and tonumber(last) >= tonumber(ends))) then
		answers[i] = 0
	else
		if ends == '0' then
			redis.call('SET', key, value)
		else
			redis.call('SET', key, value, 'PXAT', ends)
		end
		answers[i] = 1
	end
end
return answers
