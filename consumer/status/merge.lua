-- Merges states of events into their hashes, by the rules of State.Merge in
-- package topology.
--
-- KEYS     HASH of each event; on a cluster all of one slot
-- ARGV[1]  how long a hash is kept, in milliseconds
-- ARGV[2…] for each key in turn a value for each of `names`, empty for none
-- Returns  1 for each event whose status changed, 0 for the others
--
-- `<` on strings follows the locale of the server. Ranks are digits and dots,
-- of one width, so any locale sorts them right; other texts need `less`.

local call, unpack, tonumber, byte = redis.call, unpack, tonumber, string.byte
local keys, argv = KEYS, ARGV
local ttl = tonumber(argv[1])

-- What is merged by itself comes first. Of the others the state with the greatest
-- rank brings all, or has none.
local names = {
  'rank', 'source', 'lane', 'type', 'channel', 'pending_at', 'pending_delivery_at', 'scheduled_at',
  'status', 'updated_at', 'redrives', 'attempt', 'template', 'provider', 'provider_message_id', 'final_at',
  'reason', 'detail',
}
local RANK, SOURCE, CHANNEL, SCHEDULED_AT, UPDATED_AT = 1, 2, 5, 8, 10

-- Returns what is stored of the fields up to SCHEDULED_AT, by their places in `names`.
local function read_by(how, key) return how('HMGET', key, unpack(names, 1, SCHEDULED_AT)) end

-- What is no hash was not written by a status updater, the only writer of
-- these keys, and gives way: it would stop its partition for ever.
local function read(key)
  local old = read_by(redis.pcall, key)
  if not old.err then return old end
  if string.find(old.err, '^WRONGTYPE') then call('DEL', key) end
  return read_by(call, key)
end

-- Whether a is less than b, by bytes.
local function less(a, b)
  for i = 1, math.min(#a, #b) do
    local x, y = byte(a, i), byte(b, i)
    if x ~= y then return x < y end
  end
  return #a < #b
end

-- The digit of the status in a rank.
local function status(rank) return rank and byte(rank, 13) end

-- Whether a value must replace the other one that is stored in that place, where the
-- identity is of the same copy of the event.
local function better(place, value, stored)
  if not stored then return true end
  if place <= CHANNEL then return less(stored, value) end
  local new, old = tonumber(value), tonumber(stored)
  if not old then return true end
  if place == SCHEDULED_AT then return new > old end
  return new < old
end

local set, gone = {}, {} -- the fields to write, each with its value, and those to delete

-- Merges the values behind argv[at] into what is stored. Reports whether the status
-- changed.
local function merge(key, at)
  local old, n, m = read(key), 0, 0
  local rank, old_rank, source, old_source = argv[at + RANK], old[RANK], argv[at + SOURCE], old[SOURCE]
  local won = not old_rank or rank > old_rank
  if won then set[1], set[2], n = 'rank', rank, 2 end
  local first = SOURCE + 1
  if source ~= old_source then
    if source ~= '' and (not old_source or less(source, old_source)) then -- its copy gives the identity, and all of it
      if old_source or old[3] or old[4] or old[5] then call('HDEL', key, 'lane', 'type', 'channel') end
      old[3], old[4], old[5] = false, false, false
      set[n + 1], set[n + 2], n = 'source', source, n + 2
    elseif old_source or source ~= '' then
      first = CHANNEL + 1
    end
  end
  for place = first, SCHEDULED_AT do
    local value, stored = argv[at + place], old[place]
    if value ~= '' and value ~= stored and better(place, value, stored) then
      set[n + 1], set[n + 2], n = names[place], value, n + 2
    end
  end
  if won then
    for place = SCHEDULED_AT + 1, #names do
      local value = argv[at + place]
      if value ~= '' then
        set[n + 1], set[n + 2], n = names[place], value, n + 2
      elseif old_rank then
        m = m + 1
        gone[m] = names[place]
      end
    end
  end
  if n > 0 then call('HSET', key, unpack(set, 1, n)) end
  if m > 0 then call('HDEL', key, unpack(gone, 1, m)) end
  local scheduled_at = argv[at + SCHEDULED_AT]
  if won or scheduled_at ~= '' then
    local updated_at = won and argv[at + UPDATED_AT] or call('HGET', key, 'updated_at')
    local until_at = math.max(tonumber(scheduled_at) or 0, tonumber(old[SCHEDULED_AT] or 0) or 0)
    call('PEXPIREAT', key, math.max(tonumber(updated_at) or 0, until_at) + ttl)
  end
  return won and status(rank) ~= status(old_rank)
end

local changed = {}
for i = 1, #keys do
  changed[i] = merge(keys[i], 1 + (i - 1) * #names) and 1 or 0
end
return changed
