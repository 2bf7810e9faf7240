// Boost.Asio and Boost.Beast, compiled once for the whole project (see meson.build beside this file).
//
// Tested by: everything that links io
#include <boost/asio/impl/src.hpp>
#include <boost/beast/src.hpp>
