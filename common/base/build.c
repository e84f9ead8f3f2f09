/* The only file that is compiled with the build's own facts, so that they change one object and not
 * all. */
#include "common/base/build.h"

#include "build_info.h"

const struct fl_build fl_build = {
    .git_sha = FL_BUILD_SHA,
    .git_branch = FL_BUILD_BRANCH,
    .git_tag = FL_BUILD_TAG,
    .date = FL_BUILD_DATE,
    .time = FL_BUILD_TIME,
    .user = FL_BUILD_USER,
};
