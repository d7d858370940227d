// Publishes pictures into a Tectum graph, over libzmq and MessagePack alone.
//
//   eye: {run: program, command: ./publisher, outputs: {image: image}, rate: 30Hz}
//
// The graph says by the environment where to publish. Every 100 ms, and when somebody joins, a
// statement tells how many pictures there were, so that no loss goes unseen.
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <map>

#include "wire.hpp"

namespace {

constexpr int kWidth = 64, kHeight = 48, kPeriodMs = 33;
volatile std::sig_atomic_t stopping = 0;

std::string env(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr) throw std::runtime_error(std::string(name) + " is not set: run by a graph");
  return value;
}

class Publisher {
 public:
  Publisher(zmq::context_t& context, const std::string& endpoint, std::string node, int64_t offset)
      : socket_(context, zmq::socket_type::xpub), node_(std::move(node)), offset_ns_(offset),
        incarnation_(wire::now_ns(offset)) {
    socket_.set(zmq::sockopt::xpub_verbose, 1);
    socket_.set(zmq::sockopt::linger, 200);
    socket_.bind(endpoint);
  }

  // Take up who joins and leaves: \1 or \0, then what is subscribed; a join is \xffjoin/NAME/HOW.
  void serve(int wait_ms) {
    zmq::pollitem_t item{socket_.handle(), 0, ZMQ_POLLIN, 0};
    zmq::poll(&item, 1, std::chrono::milliseconds(wait_ms));
    zmq::message_t said;
    while (socket_.recv(said, zmq::recv_flags::dontwait)) {
      const std::string text = said.to_string(), prefix = "\xffjoin/";
      if (text.compare(1, prefix.size(), prefix) != 0) continue;
      std::string name = text.substr(1 + prefix.size());
      name = name.substr(0, name.find('/'));
      if (text[0] == 1) { joined_[name] = next_; state(false); }
      else joined_.erase(name);
    }
  }

  bool heard() const { return !joined_.empty(); }

  // One picture, bgr8: a bright square that wanders over a dark ground.
  void picture() {
    std::vector<uint8_t> pixels(kHeight * kWidth * 3, 16);
    const int left = next_ % (kWidth - 16);
    for (int y = 16; y < 32; ++y)
      for (int x = 3 * left; x < 3 * (left + 16); ++x) pixels[3 * kWidth * y + x] = 240;
    msgpack::sbuffer out;
    msgpack::packer<msgpack::sbuffer> pack(out);
    begin(pack, "image", next_, wire::now_ns(offset_ns_));
    pack.pack("b"); pack.pack_array(1);
    pack.pack_array(2); pack.pack("uint8"); pack.pack(std::vector<int>{kHeight, kWidth, 3});
    pack.pack("x"); pack.pack(std::map<std::string, std::string>{{"encoding", "bgr8"}});
    send("image", out, &pixels);
    ++next_;
  }

  void state(bool last) {
    using Counts = std::map<std::string, int64_t>;
    msgpack::sbuffer out;
    msgpack::packer<msgpack::sbuffer> pack(out);
    begin(pack, "statement", stated_++, wire::now_ns(offset_ns_));
    pack.pack("b"); pack.pack_array(0);
    pack.pack("x"); pack.pack_map(5);
    pack.pack("published"); pack.pack(Counts{{node_ + "/image", next_}});
    pack.pack("lost"); pack.pack_map(0);
    pack.pack("full"); pack.pack_array(0);
    pack.pack("joined"); pack.pack_map(joined_.size());
    for (const auto& [name, at] : joined_) { pack.pack(name); pack.pack(Counts{{node_ + "/image", at}}); }
    pack.pack("final"); pack.pack(last);
    send("@statement", out, nullptr);
  }

 private:
  template <typename Packer>
  void begin(Packer& pack, const char* kind, int64_t number, int64_t stamp_ns) const {
    pack.pack_map(8);
    pack.pack("v"); pack.pack(wire::kVersion);
    pack.pack("k"); pack.pack(kind);
    pack.pack("i"); pack.pack(incarnation_);
    pack.pack("q"); pack.pack(number);
    pack.pack("t"); pack.pack(stamp_ns);
    pack.pack("s"); pack.pack(wire::now_ns(offset_ns_));
  }

  void send(const std::string& output, const msgpack::sbuffer& header, std::vector<uint8_t>* buffer) {
    socket_.send(zmq::buffer(wire::topic(node_ + "/" + output)), zmq::send_flags::sndmore);
    socket_.send(zmq::buffer(header.data(), header.size()),
                 buffer ? zmq::send_flags::sndmore : zmq::send_flags::none);
    if (buffer) socket_.send(zmq::buffer(*buffer), zmq::send_flags::none);
  }

  zmq::socket_t socket_;
  std::string node_;
  int64_t offset_ns_, incarnation_, next_ = 0, stated_ = 0;
  std::map<std::string, int64_t> joined_;
};

}  // namespace

int main() try {
  std::signal(SIGTERM, [](int) { stopping = 1; });
  zmq::context_t context;
  Publisher publisher(context, env("TECTUM_ENDPOINT"), env("TECTUM_NODE"), std::stoll(env("TECTUM_OFFSET_NS")));
  while (!stopping && !publisher.heard()) publisher.serve(20);
  for (int count = 0; !stopping; ++count) {
    publisher.picture();
    if (count % 3 == 0) publisher.state(false);
    publisher.serve(0);
    zmq::poll(static_cast<zmq::pollitem_t*>(nullptr), 0, std::chrono::milliseconds(kPeriodMs));
  }
  publisher.state(true);
  return 0;
} catch (const std::exception& error) {
  if (stopping) return 0;  // the signal came while a socket waited
  std::cerr << error.what() << '\n';
  return 1;
}
