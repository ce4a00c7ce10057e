// How each kind of device is silenced: what the monitor writes to its registers so that it neither
// interrupts nor masters the bus any more (plan::Silence). Offsets are from the device's first
// page.
//
// Sources are named with each kind; what QEMU models has been compared with its models, too: no
// busy bit stays set there, and its interrupt lines fall. Masks come before a reset for that:
// some of the models reset their registers but leave the line as it was.
#pragma once

#include "system/board.hpp"

namespace mezzo::system::silence {

// Several boards.

// UARTIMSC, UARTDMACR, UARTICR: ARM DDI 0183, section 3.3. What is to be sent still is.
inline constexpr BoardSilence kPl011[] = {{0x38, 0}, {0x48, 0}, {0x44, 0x7ff}};
// Interrupt signal enable; software reset for all: SD Host Controller Simplified Specification
// 2.00, sections 2.2.14 and 2.2.19; for Zynq's, UG585, appendix B, SDIO.
inline constexpr BoardSilence kSdhci[] = {{0x38, 0}, {0x2c, 1 << 24, 1 << 24}};

// Versatile Express.

// TimerControl of both: ARM DDI 0271, section 3.3.
inline constexpr BoardSilence kSp804[] = {{0x08, 0}, {0x28, 0}};
// MCIMask0, MCIMask1, MCICommand, MCIDataCtrl, MCIClear: ARM DDI 0205, section 3.3.
inline constexpr BoardSilence kPl181[] = {
    {0x3c, 0}, {0x40, 0}, {0x0c, 0}, {0x2c, 0}, {0x38, 0x7ff}};
// RTCIMSC: ARM DDI 0224, section 3.3.
inline constexpr BoardSilence kPl031[] = {{0x10, 0}};
// INT_EN, and SRST of HW_CFG: SMSC LAN9118 data sheet, section 5.3. Nothing waits for the reset,
// which hangs if a guest has taken the PHY's clock away: the chip masters no bus.
inline constexpr BoardSilence kSmsc911x[] = {{0x5c, 0}, {0x74, 1}};
// Status of each of the four transports of a page: Virtio 1.1, sections 2.1.2 and 4.2.2. It reads
// as 0 when the reset is done; QEMU ends all requests before.
inline constexpr BoardSilence kVirtio[] = {
    {0x070, 0, 0xff}, {0x270, 0, 0xff}, {0x470, 0, 0xff}, {0x670, 0, 0xff}};

// Allwinner A10. The SATA controller is in no manual but for being an AHCI; for the EMAC, names
// are those of Linux' sun4i-emac.h.

// LCR without DLAB, IER: A10 User Manual, UART.
inline constexpr BoardSilence kSun4iUart[] = {{0x0c, 3}, {0x04, 0}};
// EMAC_INT_CTL, EMAC_CTL.
inline constexpr BoardSilence kSun4iEmac[] = {{0x54, 0}, {0x00, 0}};
// Interrupt mask; resets of controller, FIFO and DMA; the internal DMA controller off: A10 User
// Manual, SD/MMC.
inline constexpr BoardSilence kSunxiMmc[] = {{0x30, 0}, {0x00, 7, 7}, {0x80, 0}};
// GHC: AE without IE, then HR: Serial ATA AHCI 1.3.1, sections 3.1.2 and 10.4.3.
inline constexpr BoardSilence kAhci[] = {{0x04, 1U << 31}, {0x04, 1U << 31 | 1, 1}};

// i.MX6: the i.MX 6Dual/6Quad Reference Manual, chapters named after the modules.

// CCM_CCGR1, 5 and 6 by their addresses: the clocks of all below, as after a reset. A guest may
// have switched them off, and an access to a device without a clock is never answered.
inline constexpr BoardSilence kImx6Clocks[] = {
    {0x020c406c, ~0U}, {0x020c407c, ~0U}, {0x020c4080, ~0U}};
// UCR1: enabled, without interrupts and DMA; UCR3, UCR4: as after a reset, RXDMUXSEL set.
inline constexpr BoardSilence kImxUart[] = {{0x80, 1}, {0x88, 0x704}, {0x8c, 0x8000}};
// ENET_EIMR; RESET of ENET_ECR.
inline constexpr BoardSilence kImxFec[] = {{0x08, 0}, {0x24, 1, 1}};
// INT_SIGNAL_EN; RSTA of SYS_CTRL, whose lowest four bits are always written as one.
inline constexpr BoardSilence kUsdhc[] = {{0x38, 0}, {0x2c, 1 << 24 | 0xf, 1 << 24}};
// GPT_IR, GPT_CR.
inline constexpr BoardSilence kImxGpt[] = {{0x0c, 0}, {0x00, 0}};
// GPIO_IMR of the seven banks, 16 KiB apart.
inline constexpr BoardSilence kImxGpio[] = {{0x00014, 0}, {0x04014, 0}, {0x08014, 0}, {0x0c014, 0},
                                            {0x10014, 0}, {0x14014, 0}, {0x18014, 0}};

// Zynq-7000: the Technical Reference Manual (UG585), appendix B, under the modules' names.

// SLCR_UNLOCK, APER_CLK_CTRL by their addresses: the clocks of all below, as after a reset.
inline constexpr BoardSilence kZynqClocks[] = {{0xf8000008, 0xdf0d}, {0xf800012c, 0x01ffcccd}};
// Intrpt_dis_reg0.
inline constexpr BoardSilence kZynqUart[] = {{0x0c, 0x1fff}};
// intr_dis, net_ctrl (also section 16.3.1).
inline constexpr BoardSilence kZynqGem[] = {{0x2c, 0x07fffeff}, {0x00, 0}};
// Interrupt_Enable_1 to 3.
inline constexpr BoardSilence kZynqTtc[] = {{0x60, 0}, {0x64, 0}, {0x68, 0}};
// INT_DIS_0 to 3.
inline constexpr BoardSilence kZynqGpio[] = {
    {0x214, ~0U}, {0x254, ~0U}, {0x294, ~0U}, {0x2d4, ~0U}};

}  // namespace mezzo::system::silence
