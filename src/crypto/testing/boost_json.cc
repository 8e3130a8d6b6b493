// Boost.JSON compiled into the test binary, which reads its vectors with it; the module does not link it.
#include <boost/json/src.hpp>
