// Hears the results and the health of a Tectum fusion node, over libzmq and MessagePack alone.
//
//   ./subscriber ipc:///run/user/1000/tectum/driving-3f2a/perception.pub perception [COUNT]
//
// `run.json` in the run's directory names the endpoint of every node. One line per message; ends
// after COUNT results (default: never), with 1 where a result was lost on the way.
#include <cmath>
#include <cstring>
#include <iostream>

#include "wire.hpp"

namespace {

struct Count {
  long heard = 0, missing = 0, refused = 0;
  uint64_t incarnation = 0, next = 0;

  // Numbers of one life rise by one; a hole is a loss.
  void take(uint64_t life, uint64_t number) {
    if (heard > 0 && life == incarnation && number > next) missing += number - next;
    incarnation = life;
    next = number + 1;
    ++heard;
  }
};

void print_result(const msgpack::object& header, const std::vector<zmq::message_t>& frames) {
  const auto result = wire::at(wire::at(header, "x"), "result");
  std::cout << "result " << wire::at(result, "trigger").as<int64_t>() << ' '
            << wire::at(result, "outcome").as<std::string>() << ' '
            << wire::at(result, "reason").as<std::string>() << " latency "
            << wire::at(result, "latency_ms").as<double>() << " ms";
  const auto outputs = wire::at(result, "outputs");
  for (uint32_t i = 0; outputs.type == msgpack::type::MAP && i < outputs.via.map.size; ++i) {
    const auto& entry = outputs.via.map.ptr[i];
    const auto& frame = frames.at(2 + wire::at(entry.val, "buffer").as<size_t>());
    float first = NAN;  // buffers are little-endian, in C order; most outputs are float32
    if (frame.size() >= sizeof first) std::memcpy(&first, frame.data(), sizeof first);
    std::cout << ", " << entry.key.as<std::string>() << ' ' << frame.size() << " bytes, first " << first;
  }
  std::cout << std::endl;
}

void print_health(const msgpack::object& header) {
  const auto fields = wire::at(header, "x");
  std::cout << "health " << wire::at(fields, "state").as<std::string>() << ' '
            << wire::at(fields, "triggers").as<int64_t>() << " triggers, unexplained loss "
            << wire::at(fields, "unexplained_loss").as<int64_t>() << std::endl;
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc < 3) throw std::runtime_error("usage: subscriber ENDPOINT NODE [COUNT]");
  const std::string node = argv[2];
  const long wanted = argc > 3 ? std::stol(argv[3]) : -1;
  zmq::context_t context;
  zmq::socket_t socket(context, zmq::socket_type::sub);
  for (const char* output : {"/result", "/health", "/@statement"})
    socket.set(zmq::sockopt::subscribe, wire::topic(node + output));
  socket.set(zmq::sockopt::subscribe, "\xffjoin/cpp-subscriber");  // the last in order of bytes
  socket.connect(argv[1]);

  Count results;
  while (wanted < 0 || results.heard < wanted) {
    std::vector<zmq::message_t> frames;
    if (!zmq::recv_multipart(socket, std::back_inserter(frames))) continue;
    try {
      const auto handle = wire::header(frames);
      const auto kind = wire::at(handle.get(), "k").as<std::string>();
      if (kind == "result") {
        print_result(handle.get(), frames);
        results.take(wire::at(handle.get(), "i").as<uint64_t>(), wire::at(handle.get(), "q").as<uint64_t>());
      } else if (kind == "health") {
        print_health(handle.get());
      }
    } catch (const std::exception& error) {  // of msgpack too: a malformed message is counted
      std::cerr << "refused " << ++results.refused << ": " << error.what() << '\n';
    }
  }
  std::cout << "heard " << results.heard << " results, " << results.missing << " missing, "
            << results.refused << " refused" << std::endl;
  return results.missing == 0 && results.refused == 0 ? 0 : 1;
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 2;
}
