// Kubernetes objects from the trees of manifests; see objects.h.
#include "control/k8s/objects.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "control/config/text.h"

namespace sluice::k8s {
namespace {

using config::in_quotes;
using config::Node;

constexpr std::size_t kItemsMax = 20'000;  // of one List

lb::Protocol read_protocol(Fields& fields, bool& other) {
  const auto name = fields.one_of("protocol", Need::optional, {"TCP", "UDP", "SCTP"});
  other = name == "SCTP";
  return name == "UDP" ? lb::Protocol::udp : lb::Protocol::tcp;
}

// An IPv4 address; others are counted in `skipped` (IPv6) or a breach.
std::optional<Ipv4Address> read_ip(Fields& fields, std::string_view key, const std::string& text, unsigned& skipped) {
  if (const auto address = Ipv4Address::parse(text)) {
    if (!address->is_zero() && !address->is_multicast() && !address->is_loopback() && !address->is_broadcast())
      return address;
    fields.breach(key, in_quotes(text) + " can be no member's address");
    return std::nullopt;
  }
  if (Ipv6Address::parse(text))
    ++skipped;
  else
    fields.breach(key, in_quotes(text) + " is no IP address: write a.b.c.d");
  return std::nullopt;
}

Service read_service(Fields& top) {
  Service out;
  auto spec = top.object("spec", Need::required);
  if (!spec) return out;
  for (auto& fields : spec->objects("ports")) {
    ServicePort port;
    bool other_protocol = false;
    port.name = fields.has("name") ? fields.text("name", Need::optional).value_or("") : "";
    port.protocol = read_protocol(fields, other_protocol);
    port.port = static_cast<std::uint16_t>(fields.integer("port", Need::required, 1, 65535).value_or(0));
    port.target_number = port.port;
    if (const Node* target = fields.get("targetPort", Need::optional); target != nullptr && !target->is_null()) {
      port.target_number = 0;
      if (target->is_integer())
        port.target_number =
            static_cast<std::uint16_t>(fields.integer("targetPort", Need::optional, 0, 65535).value_or(0));
      else
        port.target_name = fields.text("targetPort", Need::optional).value_or("");
      if (port.target_number == 0 && port.target_name.empty()) port.target_number = port.port;
    }
    port.node_port = static_cast<std::uint16_t>(fields.integer("nodePort", Need::optional, 0, 65535).value_or(0));
    if (!other_protocol) out.ports.push_back(std::move(port));
  }
  return out;
}

std::vector<EndpointPort> read_endpoint_ports(Fields& fields, bool may_be_all) {
  std::vector<EndpointPort> out;
  // In an EndpointSlice, `ports: null` means that every port is served; an empty list means none.
  if (may_be_all && fields.has("ports") && fields.get("ports", Need::optional)->is_null()) return {EndpointPort{}};
  for (auto& entry : fields.objects("ports")) {
    EndpointPort port;
    bool other_protocol = false;
    if (const Node* name = entry.get("name", Need::optional);
        name != nullptr && !name->is_null() && !name->text.empty())
      port.name = entry.text("name", Need::optional).value_or("");
    port.protocol = read_protocol(entry, other_protocol);
    const bool all = may_be_all && (!entry.has("port") || entry.get("port", Need::optional)->is_null());
    if (!all) port.port = static_cast<std::uint16_t>(entry.integer("port", Need::required, 1, 65535).value_or(0));
    if (!other_protocol && (all || port.port != 0)) out.push_back(std::move(port));
  }
  return out;
}

Endpoints read_endpoints(Fields& top, unsigned& skipped) {
  Endpoints out;
  for (auto& subset : top.objects("subsets")) {
    EndpointSet set;
    for (auto& entry : subset.objects("addresses"))
      if (const auto ip = entry.text("ip", Need::required))
        if (const auto address = read_ip(entry, "ip", *ip, skipped)) set.addresses.push_back({*address});
    // Not ready: no members. Read all the same, so that a mistake is seen before the pod is.
    for (auto& entry : subset.objects("notReadyAddresses"))
      if (const auto ip = entry.text("ip", Need::required)) read_ip(entry, "ip", *ip, skipped);
    set.ports = read_endpoint_ports(subset, false);
    out.subsets.push_back(std::move(set));
  }
  return out;
}

// Absent conditions: ready counts as true, the others follow (discovery/v1: "interpret nil as true").
void read_slice_endpoint(Fields& entry, EndpointSet& set, unsigned& skipped) {
  bool ready = true, serving = true, terminating = false;
  if (auto conditions = entry.object("conditions", Need::optional)) {
    const auto said_ready = conditions->boolean("ready");
    ready = said_ready.value_or(true);
    serving = conditions->boolean("serving").value_or(ready);
    terminating = conditions->boolean("terminating").value_or(false);
  }
  for (const auto& text : entry.texts("addresses")) {
    const auto address = read_ip(entry, "addresses", text, skipped);
    if (address && ready) set.addresses.push_back({*address, false});
    if (address && !ready && serving && terminating) set.addresses.push_back({*address, true});
  }
}

EndpointSlice read_slice(Fields& top, Fields& metadata, unsigned& skipped) {
  EndpointSlice out;
  if (auto labels = metadata.object("labels", Need::optional))
    out.service = labels->text("kubernetes.io/service-name", Need::optional).value_or("");
  const auto type = top.one_of("addressType", Need::required, {"IPv4", "IPv6", "FQDN"});
  const auto entries = top.objects("endpoints");
  if (type != "IPv4") {
    skipped += static_cast<unsigned>(entries.size());
    return out;
  }
  for (auto entry : entries) read_slice_endpoint(entry, out.set, skipped);
  out.set.ports = read_endpoint_ports(top, true);
  return out;
}

ClusterNode read_node(Fields& top, unsigned& skipped) {
  ClusterNode out;
  auto status = top.object("status", Need::optional);
  if (!status) return out;
  for (auto& entry : status->objects("addresses")) {
    const auto type = entry.text("type", Need::required);
    const auto text = entry.text("address", Need::required);
    if (type == "InternalIP" && text)
      if (const auto address = read_ip(entry, "address", *text, skipped)) out.internal_ips.push_back(*address);
  }
  return out;
}

// "10.244.0.0/16" of `spec.cidr`; an IPv6 one is counted as skipped.
std::optional<Ipv4Prefix> read_cidr(Fields& spec, unsigned& skipped) {
  const auto text = spec.text("cidr", Need::required);
  if (!text) return std::nullopt;
  if (Ipv6Prefix::parse(*text)) {
    ++skipped;
    return std::nullopt;
  }
  const auto cidr = Ipv4Prefix::parse(*text);
  if (!cidr) spec.breach("cidr", fmt::format("{} is no prefix: write a.b.c.d/16", in_quotes(*text)));
  return cidr;
}

IpPool read_ip_pool(Fields& top, unsigned& skipped) {
  auto spec = top.object("spec", Need::required);
  return {spec ? read_cidr(*spec, skipped) : std::nullopt};
}

BlockAffinity read_block_affinity(Fields& top, unsigned& skipped) {
  auto spec = top.object("spec", Need::required);
  if (!spec) return {};
  BlockAffinity out{read_cidr(*spec, skipped), spec->text("node", Need::required).value_or("")};
  // The custom resource has "true" as text, the API has a boolean; a block that is being given up is nobody's.
  const Node* deleted = spec->get("deleted", Need::optional);
  if (deleted != nullptr && deleted->text == "true") out.cidr.reset();
  return out;
}

// The minor version in "f5schemadb://bigip-virtual-server_v0.1.7.json".
std::optional<unsigned> schema_minor(std::string_view text) {
  constexpr std::string_view kHead = "f5schemadb://bigip-virtual-server_v0.1.", kTail = ".json";
  if (!text.starts_with(kHead) || !text.ends_with(kTail) || text.size() <= kHead.size() + kTail.size())
    return std::nullopt;
  const auto digits = text.substr(kHead.size(), text.size() - kHead.size() - kTail.size());
  std::uint64_t minor = 0;
  if (digits.size() != 1 || config::number_from_text(digits, kSchemaMinorMin, kSchemaMinorMax, minor))
    return std::nullopt;
  return static_cast<unsigned>(minor);
}

std::optional<VirtualServerSpec> read_configmap(Fields& top, Fields& metadata, ReadObject& out) {
  auto labels = metadata.object("labels", Need::optional);
  const Node* type = labels ? labels->get("f5type", Need::optional) : nullptr;
  if (type == nullptr) return std::nullopt;  // somebody else's
  if (type->text != "virtual-server") {
    out.notice = fmt::format("is left alone: its label f5type is {}; only virtual-server is known", type->describe());
    return std::nullopt;
  }
  std::optional<std::string> annotated;
  if (auto annotations = metadata.object("annotations", Need::optional))
    annotated = annotations->text("virtual-server.f5.com/ip", Need::optional);
  auto data = top.object("data", Need::required);
  if (!data) return std::nullopt;
  const auto schema = data->text("schema", Need::required);
  const auto minor = schema ? schema_minor(*schema) : std::nullopt;
  if (schema && !minor)
    data->breach("schema",
                 fmt::format("{} is no schema known here: write f5schemadb://bigip-virtual-server_v0.1.7.json "
                             "(0.1.1 to 0.1.7 are known)",
                             in_quotes(*schema)));
  const auto text = data->text("data", Need::required);
  if (!text) return std::nullopt;
  const auto json = config::parse_json("", *text, {.bytes_max = 1 << 20, .depth_max = 32, .nodes_max = 20'000});
  for (const auto& error : json.errors) data->breach("data", error.message);
  if (!json.errors.empty()) return std::nullopt;
  return read_virtual_server(json.root, minor.value_or(kSchemaMinorMax), annotated, out.breaches, out.notice);
}

bool is_dns_name(std::string_view text, std::size_t max, bool dots) {
  return !text.empty() && text.size() <= max && std::all_of(text.begin(), text.end(), [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || (dots && c == '.');
  });
}

struct Kind {
  std::string_view kind;
  std::string_view api_version;
};
constexpr Kind kKinds[] = {{"ConfigMap", "v1"},
                           {"Service", "v1"},
                           {"Endpoints", "v1"},
                           {"Node", "v1"},
                           {"EndpointSlice", "discovery.k8s.io/v1"},
                           {"IPPool", "crd.projectcalico.org/v1"},
                           {"IPPool", "projectcalico.org/v3"},
                           {"BlockAffinity", "crd.projectcalico.org/v1"},
                           {"BlockAffinity", "projectcalico.org/v3"}};

bool is_of_the_cluster(std::string_view kind) { return kind == "Node" || kind == "IPPool" || kind == "BlockAffinity"; }

std::string notice_of_kind(std::string_view kind, std::string_view api_version) {
  if (kind == "Ingress" || kind == "IngressClass")
    return "is not supported yet: write a ConfigMap with the label f5type: virtual-server";
  if (api_version.starts_with("cis.f5.com/"))
    return "is left alone: F5's custom resources are not supported; write a ConfigMap with the label f5type: "
           "virtual-server";
  return "";
}

void read_by_kind(std::string_view kind, Fields& top, Fields& metadata, ReadObject& out) {
  unsigned skipped = 0;
  std::optional<Object> object;
  if (kind == "ConfigMap") {
    if (auto spec = read_configmap(top, metadata, out)) {
      spec->place = out.place;
      object = std::move(*spec);
    }
  } else if (kind == "Service") {
    object = read_service(top);
  } else if (kind == "Endpoints") {
    object = read_endpoints(top, skipped);
  } else if (kind == "EndpointSlice") {
    object = read_slice(top, metadata, skipped);
  } else if (kind == "IPPool") {
    object = read_ip_pool(top, skipped);
  } else if (kind == "BlockAffinity") {
    object = read_block_affinity(top, skipped);
  } else {
    object = read_node(top, skipped);
  }
  if (out.breaches.empty()) out.object = std::move(object);
  if (skipped > 0) out.notice = fmt::format("{} of its addresses left out: only IPv4 is implemented", skipped);
}

ReadObject read_object(std::string_view file, const Node& node, std::string_view inferred_kind) {
  ReadObject out{.mark = node.mark};
  out.place = node.mark.line == 0 ? std::string(file) : fmt::format("{}:{}:{}", file, node.mark.line, node.mark.column);
  Fields top(node, "", out.breaches);
  if (!node.is_map()) return out;
  const bool inferred = !inferred_kind.empty() && !top.has("kind");
  const auto kind = inferred ? std::optional(std::string(inferred_kind)) : top.text("kind", Need::required);
  const auto api_version = inferred ? std::optional<std::string>() : top.text("apiVersion", Need::required);
  if (!kind) return out;
  out.key.kind = *kind;
  const auto known = std::find_if(std::begin(kKinds), std::end(kKinds), [&](const Kind& k) { return k.kind == *kind; });
  auto metadata = top.object("metadata", known != std::end(kKinds) ? Need::required : Need::optional);
  if (metadata) {
    out.key.name = metadata->text("name", known != std::end(kKinds) ? Need::required : Need::optional).value_or("");
    if (!is_of_the_cluster(*kind)) out.key.space = metadata->text("namespace", Need::optional).value_or("default");
  }
  out.place += ' ' + out.key.text();
  if (known == std::end(kKinds)) {
    out.breaches.clear();
    out.notice = notice_of_kind(*kind, api_version.value_or(""));
    return out;
  }
  const bool version_known = std::any_of(std::begin(kKinds), std::end(kKinds), [&](const Kind& k) {
    return k.kind == *kind && k.api_version == api_version;
  });
  if (api_version && !version_known)
    top.breach("apiVersion",
               fmt::format("{} is not known for {}: write {}", in_quotes(*api_version), *kind, known->api_version));
  if (!metadata) return out;
  if (!out.key.name.empty() && !is_dns_name(out.key.name, 253, true))
    metadata->breach("name", in_quotes(out.key.name) + " is no name: write lower-case letters, digits, - and .");
  if (!out.key.space.empty() && !is_dns_name(out.key.space, 63, false))
    metadata->breach("namespace",
                     in_quotes(out.key.space) + " is no namespace: write lower-case letters, digits and -");
  read_by_kind(*kind, top, *metadata, out);
  return out;
}

}  // namespace

std::string ObjectKey::text() const {
  if (name.empty()) return kind;
  return space.empty() ? fmt::format("{} {}", kind, name) : fmt::format("{} {}/{}", kind, space, name);
}

std::vector<ReadObject> read_objects(std::string_view file, const config::Document& document) {
  std::vector<ReadObject> out;
  const Node& root = document.root;
  const Node* kind = root.is_map() ? root.find("kind") : nullptr;
  const Node* items = root.is_map() ? root.find("items") : nullptr;
  const bool list = kind != nullptr && items != nullptr && kind->text.ends_with("List");
  if (!list) {
    out.push_back(read_object(file, root, ""));
  } else if (items->is_sequence() && items->items.size() <= kItemsMax) {
    const std::string_view inferred = std::string_view(kind->text).substr(0, kind->text.size() - 4);
    for (const auto& item : items->items) out.push_back(read_object(file, item, inferred));
  } else if (!items->is_null()) {
    ReadObject wrong{.key = {.kind = kind->text}, .place = std::string(file) + ' ' + kind->text};
    wrong.breaches.push_back({"items", items->mark,
                              items->is_sequence() ? fmt::format("has more than {} entries", kItemsMax)
                                                   : items->describe() + " stands where a list is expected"});
    out.push_back(std::move(wrong));
  }
  return out;
}

}  // namespace sluice::k8s
