// The wire of docs/wire.md, as far as these two programs need it.
#pragma once
#include <cstdint>
#include <ctime>
#include <stdexcept>
#include <string>
#include <vector>

#include <msgpack.hpp>
#include <zmq.hpp>
#include <zmq_addon.hpp>

namespace wire {

constexpr int64_t kVersion = 1;

// The graph clock: monotonic time and the offset that the run has fixed.
inline int64_t now_ns(int64_t offset_ns) {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000LL + t.tv_nsec + offset_ns;
}

// A topic frame ends in NUL, so that no topic is the beginning of another.
inline std::string topic(const std::string& name) { return name + '\0'; }

// The value of a key of a MessagePack map; nil where it is missing.
inline msgpack::object at(const msgpack::object& map, const std::string& key) {
  if (map.type == msgpack::type::MAP)
    for (uint32_t i = 0; i < map.via.map.size; ++i)
      if (const auto& entry = map.via.map.ptr[i];
          entry.key.type == msgpack::type::STR && entry.key.as<std::string>() == key)
        return entry.val;
  return {};
}

// The header of a received message: a map of our version, or it is refused.
inline msgpack::object_handle header(const std::vector<zmq::message_t>& frames) {
  if (frames.size() < 2) throw std::runtime_error("a message has at least two frames");
  auto handle = msgpack::unpack(frames[1].data<char>(), frames[1].size());
  const auto version = at(handle.get(), "v");
  if (version.type != msgpack::type::POSITIVE_INTEGER || version.as<int64_t>() != kVersion)
    throw std::runtime_error("another version of the wire");
  return handle;
}

}  // namespace wire
