// Boost.JSON compiled into the test binary, which compares with it; the module does not link it.
#include <boost/json/src.hpp>
