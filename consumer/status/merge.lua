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

-- From SOURCE to SCHEDULED_AT each field is merged by itself. Of the others the
-- state with the greatest rank brings all, or has none.
local names = {
  'rank', 'reason', 'detail', 'template', 'provider', 'provider_message_id', 'final_at',
  'source', 'lane', 'type', 'channel', 'pending_at', 'pending_delivery_at', 'scheduled_at',
  'status', 'updated_at', 'redrives', 'attempt',
}
local RANK, SOURCE, LANE, TYPE, CHANNEL, SCHEDULED_AT, UPDATED_AT = 1, 8, 9, 10, 11, 14, 16

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

-- The number that a text says; none for what is absent, or no number.
local function number(text) return text and tonumber(text) end

local function expire(key, updated_at, scheduled_at)
  local from = math.max(number(updated_at) or 0, number(scheduled_at) or 0)
  call('PEXPIREAT', key, from + ttl)
end

-- The digit of the status in a rank.
local function status(rank) return rank and byte(rank, 13) end

-- Whether a value must replace the one that is stored in that place.
local function better(place, value, stored, ours)
  if place == SOURCE then return not stored or less(value, stored) end
  if place <= CHANNEL then return ours and (not stored or less(stored, value)) end
  local new, old = tonumber(value), number(stored)
  if not old then return true end
  if place == SCHEDULED_AT then return new > old end
  return new < old
end

-- Merges the values behind argv[at] into what is stored. Reports whether the status
-- changed.
local function merge(key, at)
  local old = read(key)
  local rank, old_rank, scheduled_at = argv[at + RANK], old[RANK], old[SCHEDULED_AT]
  local won = not old_rank or rank > old_rank
  -- Whether lane, type and channel are of the copy that gives the identity.
  local ours = (old[SOURCE] or '') == argv[at + SOURCE]
  local set, n, gone = {}, 0, {}
  for place = 1, #names do
    local value, stored, take = argv[at + place], old[place], false
    if place < SOURCE or place > SCHEDULED_AT then
      take = won and value ~= ''
      if won and not take and stored then gone[#gone + 1] = names[place] end
    elseif value ~= '' and value ~= stored then
      take = better(place, value, stored, ours)
    end
    if take then
      set[n + 1], set[n + 2], n = names[place], value, n + 2
      old[place] = value
      if place == SOURCE then
        ours = true
        if old[LANE] or old[TYPE] or old[CHANNEL] then call('HDEL', key, 'lane', 'type', 'channel') end
        old[LANE], old[TYPE], old[CHANNEL] = false, false, false
      end
    end
  end
  if n > 0 then call('HSET', key, unpack(set)) end
  if #gone > 0 then call('HDEL', key, unpack(gone)) end
  if won then
    expire(key, argv[at + UPDATED_AT], old[SCHEDULED_AT])
  elseif old[SCHEDULED_AT] ~= scheduled_at then
    expire(key, call('HGET', key, 'updated_at'), old[SCHEDULED_AT])
  end
  return won and status(rank) ~= status(old_rank)
end

local changed = {}
for i = 1, #keys do
  changed[i] = merge(keys[i], 1 + (i - 1) * #names) and 1 or 0
end
return changed
