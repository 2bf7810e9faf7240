// Trees from YAML and JSON: values, places, several documents, and all that is refused.
#include "control/config/tree.h"

#include <gtest/gtest.h>

namespace sluice::config::tree_test {
namespace {

Node yaml(std::string_view text) {
  const auto documents = parse_yaml("f", text);
  EXPECT_EQ(documents.size(), 1u);
  return documents.empty() ? Node{} : documents[0].root;
}

TEST(Yaml, KindsOfScalars) {
  const Node node = yaml(
      "{a: 1, b: '1', c: true, d: \"true\", e: null, f: ~, g: -5, h: 1.5e3, i: word, j: 1., k: !!str 7, l: !!int 8}");
  EXPECT_TRUE(node.find("a")->is_integer());
  EXPECT_TRUE(node.find("b")->is_string());
  EXPECT_FALSE(node.find("b")->is_integer());
  EXPECT_TRUE(node.find("c")->is_boolean());
  EXPECT_TRUE(node.find("d")->is_string());
  EXPECT_TRUE(node.find("e")->is_null());
  EXPECT_TRUE(node.find("f")->is_null());
  EXPECT_TRUE(node.find("g")->is_integer());
  EXPECT_TRUE(node.find("h")->is_number());
  EXPECT_FALSE(node.find("h")->is_integer());
  EXPECT_TRUE(node.find("i")->is_string());
  EXPECT_FALSE(node.find("j")->is_number());
  EXPECT_TRUE(node.find("k")->is_string());
  EXPECT_TRUE(node.find("l")->is_integer());
  EXPECT_EQ(node.find("zz"), nullptr);
}

TEST(Yaml, Marks) {
  const Node node = yaml("a:\n  b: 1\n  c: [x,\n    y]\n");
  EXPECT_EQ(node.find("a")->key_marks[1].line, 3u);
  EXPECT_EQ(node.find("a")->find("c")->items[1].mark.line, 4u);
  EXPECT_EQ(node.find("a")->find("c")->items[1].mark.column, 5u);
}

TEST(Yaml, DocumentsStandAlone) {
  const auto documents =
      parse_yaml("f", "# head\n---\na: 1\n---\nb: [\n---\n# nothing\n--- \nc: |\n  text\n--- {d: 2}\n...\n");
  ASSERT_EQ(documents.size(), 4u);
  EXPECT_EQ(documents[0].root.find("a")->text, "1");
  EXPECT_EQ(documents[0].root.find("a")->mark.line, 3u);
  ASSERT_EQ(documents[1].errors.size(), 1u);
  EXPECT_TRUE(documents[1].errors[0].place.starts_with("f:5:") || documents[1].errors[0].place.starts_with("f:6:"))
      << documents[1].errors[0].text();
  EXPECT_EQ(documents[2].root.find("c")->text, "text\n");
  EXPECT_EQ(documents[3].root.find("d")->text, "2");
}

TEST(Yaml, DirectivesAndByteOrderMark) {
  EXPECT_EQ(yaml("%YAML 1.2\n---\na: 1\n").find("a")->text, "1");
  EXPECT_EQ(yaml("\xef\xbb\xbf"
                 "a: 1\n")
                .find("a")
                ->text,
            "1");
  EXPECT_EQ(yaml("a: 1\r\nb: 2\r\n").find("b")->text, "2");
}

TEST(Yaml, NodeBudget) {
  std::string text = "[";
  for (int i = 0; i < 1000; ++i) text += "1,";
  const auto documents = parse_yaml("f", text + "1]", {.nodes_max = 100});
  ASSERT_EQ(documents.size(), 1u);
  EXPECT_EQ(documents[0].errors.at(0).message, "more than 100 values in one file");
}

TEST(Json, Values) {
  const auto document = parse_json("p", R"({"a": [1, "x", true, null, 1.5], "b": {"c": "é\n"}})");
  ASSERT_TRUE(document.errors.empty());
  const Node& node = document.root;
  EXPECT_TRUE(node.find("a")->items[0].is_integer());
  EXPECT_TRUE(node.find("a")->items[1].is_string());
  EXPECT_TRUE(node.find("a")->items[2].is_boolean());
  EXPECT_TRUE(node.find("a")->items[3].is_null());
  EXPECT_TRUE(node.find("a")->items[4].is_number());
  EXPECT_EQ(node.find("b")->find("c")->text, "é\n");
}

TEST(Json, Refused) {
  for (const std::string text :
       {"", "{", "{'a': 1}", "{\"a\": 01}", "[1,]", "{\"a\": 1} x", "nul", "\"\x01\"", "\"\xff\"", "// c\n{}"}) {
    const auto document = parse_json("p", text);
    ASSERT_EQ(document.errors.size(), 1u) << text;
    EXPECT_EQ(document.errors[0].place, "p");
    EXPECT_TRUE(document.errors[0].message.starts_with("not JSON: ")) << document.errors[0].message;
  }
  EXPECT_EQ(parse_json("p", R"({"a": {"b": 1, "b": 2}})").errors.at(0).message,
            "the key \"b\" is there twice in a: keep one of them");
  EXPECT_EQ(parse_json("p", std::string(100000, '[')).errors.at(0).message, "nested deeper than 64 levels");
  EXPECT_EQ(parse_json("p", "[1,2,3]", {.nodes_max = 2}).errors.at(0).message, "more than 2 values");
  EXPECT_EQ(parse_json("p", "[1,2,3]", {.bytes_max = 2}).errors.at(0).message, "7 bytes long: at most 2 are read");
}

}  // namespace
}  // namespace sluice::config::tree_test
