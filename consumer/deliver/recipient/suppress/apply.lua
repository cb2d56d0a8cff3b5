-- Brings one bucket of the copy from where it is to a later offset of its topic. What
-- is there is always the topic up to its mark: whoever comes late, or twice, changes
-- nothing, and a bucket that lost its mark is begun anew.
--
-- KEYS  the bucket (HASH)
-- ARGV  the topic, its first offset, the offsets from and to; then for each record
--       between them its subject, cause and line, which is empty to take it away
-- Returns for its one key the offset where it is now, or the mark of another topic.
local key, topic = KEYS[1], ARGV[1]
local from, to = tonumber(ARGV[3]), tonumber(ARGV[4])
local mark = redis.call('HGET', key, 'mark')
local at
if mark then
	local of, offset = string.match(mark, '^(%S+) (%d+)$')
	if of ~= topic then return {mark} end
	at = tonumber(offset)
else
	redis.call('UNLINK', key)
	at = tonumber(ARGV[2])
end
if at >= from and at < to then
	for i = 5, #ARGV, 3 do
		local subject, cause, line = ARGV[i], ARGV[i + 1], ARGV[i + 2]
		local lines = redis.call('HGET', key, subject) or ''
		lines = string.gsub(lines, '%d+\t' .. cause .. '\t%d+\n', '') .. line
		if lines == '' then
			redis.call('HDEL', key, subject)
		else
			redis.call('HSET', key, subject, lines)
		end
	end
	at = to
	redis.call('HSET', key, 'mark', topic .. ' ' .. ARGV[4])
end
return {at}
