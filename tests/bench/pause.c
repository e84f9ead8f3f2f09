/* A program that does nothing until it is killed. Static and without the GNU library, which costs a virtual machine more
 * to start than all that is measured here: a benchmark of containers is to measure containers. */
#include <unistd.h>

int main(void)
{
    for (;;)
        pause();
}
