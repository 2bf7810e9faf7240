// Checksums against RFC 1071 written out: every length, every split, every alignment; deltas against computing afresh.
#include "dataplane/wire/checksum.h"

#include <gtest/gtest.h>

#include <vector>

#include "dataplane/base/rng.h"
#include "dataplane/wire/ipv4.h"

namespace sluice::wire {
namespace {

std::uint16_t naive_checksum(ConstBytes bytes) {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < bytes.size(); i += 2) {
    sum += bytes[i] * 256u + (i + 1 < bytes.size() ? bytes[i + 1] : 0u);
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

std::vector<std::uint8_t> random_bytes(Rng& rng, std::size_t n, bool all_ones = false) {
  std::vector<std::uint8_t> bytes(n);
  for (auto& byte : bytes) byte = all_ones ? 0xff : static_cast<std::uint8_t>(rng());
  return bytes;
}

TEST(Checksum, MatchesRfc1071Example) {
  const std::uint8_t bytes[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
  EXPECT_EQ(internet_checksum(bytes), static_cast<std::uint16_t>(~0xddf2));
}

TEST(Checksum, AgreesWithNaiveAtEveryLengthAndAlignment) {
  Rng rng(1);
  for (std::size_t length = 0; length <= 700; ++length) {
    for (const bool all_ones : {false, true}) {
      const auto bytes = random_bytes(rng, length + 3, all_ones);
      const std::size_t start = length % 4;
      const ConstBytes part = ConstBytes(bytes).subspan(start > 3 ? 0 : start, length);
      ASSERT_EQ(internet_checksum(part), naive_checksum(part)) << length;
    }
  }
  for (const std::size_t length : {1500u, 9000u, 65535u}) {
    const auto bytes = random_bytes(rng, length);
    ASSERT_EQ(internet_checksum(bytes), naive_checksum(bytes)) << length;
  }
}

TEST(Checksum, PiecesOfAnyLengthSumToTheWhole) {
  Rng rng(2);
  for (int round = 0; round < 500; ++round) {
    const auto bytes = random_bytes(rng, rng.between(1, 2000));
    ChecksumSum sum;
    ConstBytes rest(bytes);
    while (!rest.empty()) {
      const std::size_t n = rng.between(0, std::min<std::size_t>(rest.size(), 300));
      sum.add(rest.first(n));
      rest = rest.subspan(n);
    }
    ASSERT_EQ(sum.finish(), naive_checksum(bytes));
  }
}

TEST(Checksum, PseudoHeader) {
  // 10.0.0.1:1 > 10.0.0.2:2, UDP, payload "abc", summed by hand.
  std::uint8_t udp[] = {0, 1, 0, 2, 0, 11, 0, 0, 'a', 'b', 'c'};
  const Ipv4Address source{0x0a000001}, destination{0x0a000002};
  const std::uint32_t sum = 0x0a00 + 0x0001 + 0x0a00 + 0x0002 + 17 + 11 + 1 + 2 + 11 + 0x6162 + 0x6300;
  EXPECT_EQ(l4_checksum(source, destination, 17, udp), static_cast<std::uint16_t>(~fold_checksum(sum)));
  store_be16(udp + 6, l4_checksum(source, destination, 17, udp));
  EXPECT_EQ(l4_checksum(source, destination, 17, udp), 0);  // over right data: 0
}

TEST(Checksum, PseudoHeaderOfIpv6) {
  const auto source = *Ipv6Address::parse("2001:db8::1");
  const auto destination = *Ipv6Address::parse("ff02::1");
  ChecksumSum sum;
  sum.add_pseudo_header(source, destination, 58, 0x10008);
  EXPECT_EQ(sum.folded(), fold_checksum(0x2001 + 0x0db8 + 1 + 0xff02 + 1 + 1 + 8 + 58));
}

TEST(ChecksumDelta, EqualsComputingAfresh) {
  Rng rng(3);
  for (int round = 0; round < 20000; ++round) {
    auto bytes = random_bytes(rng, 40, rng.chance(0.05));
    if (rng.chance(0.1)) std::fill(bytes.begin() + 4, bytes.end(), std::uint8_t{0});
    bytes[0] = 0x45;  // as in any real header, not all is zero
    store_be16(&bytes[10], 0);
    const std::uint16_t before = naive_checksum(bytes);
    store_be16(&bytes[10], before);
    ChecksumDelta delta;
    const auto address = rng.chance(0.1) ? 0u : rng.chance(0.1) ? ~0u : static_cast<std::uint32_t>(rng());
    const auto port = static_cast<std::uint16_t>(rng.chance(0.1) ? 0 : rng());
    delta.replace32(load_be32(&bytes[12]), address);
    delta.replace16(load_be16(&bytes[20]), port);
    store_be32(&bytes[12], address);
    store_be16(&bytes[20], port);
    const std::uint16_t mended = delta.apply(load_be16(&bytes[10]));
    store_be16(&bytes[10], 0);
    ASSERT_EQ(mended, naive_checksum(bytes));
    std::uint8_t field[2];
    store_be16(field, before);
    mend_checksum(field, delta.raw());
    ASSERT_EQ(load_be16(field), mended);
    ASSERT_EQ(delta.reversed().apply(mended), before);
    ASSERT_EQ(ChecksumDelta(delta.value()).apply(1234), delta.apply(1234));
  }
}

TEST(ChecksumDelta, KeepsAWrongChecksumWrong) {
  ChecksumDelta delta;
  delta.replace32(0x0a000001, 0xac102801);
  const std::uint16_t right = 0x1234;
  EXPECT_NE(delta.apply(right), delta.apply(right ^ 0x0100));
}

TEST(ChecksumDelta, UdpZeroMeansNone) {
  ChecksumDelta delta;
  delta.replace16(1, 2);
  EXPECT_EQ(delta.apply_udp(0), 0);
  // A result of zero is sent as all ones (RFC 768).
  for (std::uint32_t checksum = 1; checksum <= 0xffff; ++checksum) {
    ASSERT_NE(delta.apply_udp(static_cast<std::uint16_t>(checksum)), 0);
  }
}

TEST(Ipv4, DecrementTtlMendsTheChecksumForEveryValue) {
  Rng rng(4);
  for (unsigned ttl = 1; ttl <= 255; ++ttl) {
    for (int round = 0; round < 20; ++round) {
      std::uint8_t header[20];
      for (auto& byte : header) byte = static_cast<std::uint8_t>(rng());
      header[0] = 0x45;
      header[kIpv4Ttl] = static_cast<std::uint8_t>(ttl);
      write_ipv4_checksum(header);
      decrement_ttl(header);
      ASSERT_EQ(header[kIpv4Ttl], ttl - 1);
      ASSERT_EQ(naive_checksum(header), 0);
    }
  }
}

}  // namespace
}  // namespace sluice::wire
